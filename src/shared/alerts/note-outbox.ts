import { errorMessage } from '../caught-error.js';
import type { Logger } from '../logger.js';
import type { AlertName } from './alert-rule.js';
import type { AlertNote } from './send-note.js';

export interface NoteOutboxDeps {
  readonly send: (note: AlertNote) => Promise<void>;
  readonly logger: Logger;
  readonly retryFirstMs?: number;
}

interface Slot {
  note: AlertNote;
  putAtMs: number;
  attempts: number;
  isSending: boolean;
  timer: NodeJS.Timeout | undefined;
}

const RETRY_FIRST_MS = 1000;
const RETRY_MS_MAX = 3_600_000;
/** Nobody needs to read of a trouble a day later. */
const GIVEN_UP_AFTER_MS = 86_400_000;

/**
 * Notes on their way. There is one for each alert at most, and one attempt at a time: a newer one takes the place of the one before,
 * and never overtakes it, so that the last thing that is told is how things are.
 */
export class NoteOutbox {
  readonly #deps: NoteOutboxDeps;
  readonly #slots = new Map<AlertName, Slot>();

  constructor(deps: NoteOutboxDeps) {
    this.#deps = deps;
  }

  put(note: AlertNote): void {
    const slot = this.#slotOf(note);
    clearTimeout(slot.timer);
    slot.note = note;
    slot.putAtMs = performance.now();
    slot.attempts = 0;
    if (!slot.isSending) void this.#send(slot);
  }

  /** Whether a note of this alert has yet to arrive. */
  has(alert: AlertName): boolean {
    return this.#slots.has(alert);
  }

  drop(alert: AlertName): void {
    clearTimeout(this.#slots.get(alert)?.timer);
    this.#slots.delete(alert);
  }

  stop(): void {
    for (const alert of this.#slots.keys()) this.drop(alert);
  }

  #slotOf(note: AlertNote): Slot {
    const { alert } = note.data;
    const slot = this.#slots.get(alert) ?? { note, putAtMs: 0, attempts: 0, isSending: false, timer: undefined };
    this.#slots.set(alert, slot);
    return slot;
  }

  async #send(slot: Slot): Promise<void> {
    const { note } = slot;
    slot.isSending = true;
    const failure = await this.#deps.send(note).then(() => undefined, errorMessage);
    slot.isSending = false;
    if (this.#slots.get(note.data.alert) !== slot) return;
    if (slot.note !== note) void this.#send(slot);
    else if (failure === undefined) this.#slots.delete(note.data.alert);
    else this.#retry(slot, failure);
  }

  #retry(slot: Slot, reason: string): void {
    const { logger, retryFirstMs = RETRY_FIRST_MS } = this.#deps;
    const { alert } = slot.note.data;
    slot.attempts += 1;
    if (performance.now() - slot.putAtMs > GIVEN_UP_AFTER_MS) {
      this.#slots.delete(alert);
      logger.error({ event: 'alert.not_told', alert, reason }, 'ALERT_URL has taken no note for a day: giving it up');
      return;
    }
    if (slot.attempts === 1)
      logger.warn({ event: 'alert.delayed', alert, reason }, 'ALERT_URL does not take a note; trying again');
    const waitMs = Math.min(retryFirstMs * 2 ** Math.min(slot.attempts - 1, 20), RETRY_MS_MAX);
    slot.timer = setTimeout(() => void this.#send(slot), waitMs * (0.5 + Math.random() / 2));
    slot.timer.unref();
  }
}
