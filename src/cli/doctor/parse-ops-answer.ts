import { z } from 'zod';

const ANSWER = z.object({
  status: z.string().max(40),
  problems: z.array(z.string()).default([]),
  warnings: z.array(z.string()).default([]),
});

/** What `/healthz` and `/readyz` of our own programs answer; undefined for anything else. */
export function parseOpsAnswer(body: string): z.infer<typeof ANSWER> | undefined {
  try {
    return ANSWER.safeParse(JSON.parse(body)).data;
  } catch {
    return undefined;
  }
}
