import type { Cloud, PortalState } from './portal-state.js';

/** `time` of an answer: when the portal worked on it, and how much the method has used of what it may. */
export function timeBlock(
  { cloud, portal }: { readonly cloud: Cloud; readonly portal: PortalState },
  method: string,
  startedAtMs: number,
): Readonly<Record<string, unknown>> {
  const finishedAtMs = cloud.now();
  const duration = (finishedAtMs - startedAtMs) / 1000;
  return {
    start: startedAtMs / 1000,
    finish: finishedAtMs / 1000,
    duration,
    processing: duration,
    date_start: new Date(startedAtMs).toISOString(),
    date_finish: new Date(finishedAtMs).toISOString(),
    // The calls inside of a batch count, the batch itself does not.
    ...(method !== 'batch' && portal.operating.of(method)),
  };
}
