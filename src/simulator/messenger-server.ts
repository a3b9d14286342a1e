import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { answerUnderFaults, type JsonAnswer } from './faults.js';
import type { SimulatedMessenger } from './messenger.js';

const NOT_FOUND: JsonAnswer = { status: 404, body: { error: 'there is no such message' } };
const newMessage = z.object({
  chat: z.string().min(1),
  text: z.string(),
  idempotencyKey: z.string().min(1).nullish(),
});
const changedMessage = z.object({ text: z.string() });

/** The messenger's own interface, by which an app delivers what operators write. */
export function createMessengerRouter(messenger: SimulatedMessenger): Router {
  const router = Router();
  const serve = (method: string, work: (request: Request<{ id: string }>) => JsonAnswer) => {
    return (request: Request<{ id: string }>, response: Response): Promise<void> =>
      answerUnderFaults({ faults: messenger.faults, method, response, work: () => work(request) });
  };

  router.get('/messenger/messages', (_request, response) => {
    response.json([...messenger.messages.values()]);
  });
  router.post(
    '/messenger/messages',
    serve('post', ({ body }) => {
      const parsed = newMessage.safeParse(body);
      if (!parsed.success) return invalid(parsed.error);
      const { chat, text, idempotencyKey } = parsed.data;
      const { id } = messenger.deliver({ chat, text, idempotencyKey: idempotencyKey ?? null });
      return { status: 200, body: { id } };
    }),
  );
  router.put(
    '/messenger/messages/:id',
    serve('put', ({ params, body }) => {
      const parsed = changedMessage.safeParse(body);
      if (!parsed.success) return invalid(parsed.error);
      return messenger.edit(params.id, parsed.data.text) ? { status: 200, body: { id: params.id } } : NOT_FOUND;
    }),
  );
  router.delete(
    '/messenger/messages/:id',
    serve('delete', ({ params }) =>
      messenger.delete(params.id) ? { status: 200, body: { id: params.id } } : NOT_FOUND,
    ),
  );
  router.delete(
    '/messenger/lines/:id',
    serve('delete-line', ({ params, query }) => {
      messenger.forgetLine(typeof query['portal'] === 'string' ? query['portal'] : '', params.id);
      return { status: 200, body: {} };
    }),
  );
  return router;
}

function invalid(error: z.ZodError): JsonAnswer {
  const [issue] = error.issues;
  return { status: 400, body: { error: `${issue?.path.join('.') ?? 'body'}: ${issue?.message ?? 'invalid'}` } };
}
