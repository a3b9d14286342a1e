import { createNote, instanceName, sendNote, type AlertReceiver } from '../alerts/send-note.js';

export interface WedgedProcess {
  readonly name: string;
  readonly summary: string;
  readonly receiver: AlertReceiver | undefined;
}

/** Takes five seconds at most, and never rejects: what comes after it must come. */
export async function tellWedged({ name, summary, receiver }: WedgedProcess): Promise<void> {
  if (!receiver) return;
  const facts = { alert: 'process-wedged', summary, sinceMs: Date.now(), instance: instanceName(name) } as const;
  await sendNote(receiver, createNote('alert.firing', facts)).catch(() => undefined);
}
