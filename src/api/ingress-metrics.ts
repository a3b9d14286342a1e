import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { HttpErrorCode } from '../shared/errors.js';
import { createEventLabel } from '../shared/event-label.js';
import { INGRESS_FIGURES } from './ingress-figures.js';
import type { LookAtIngress } from './look-at-ingress.js';

/** Told of what becomes of each POST. */
export interface IntakeMetrics {
  /** Just before the 200. */
  kept(eventName: string, result: 'accepted' | 'quarantined', durationMs: number): void;
  /** The name is undefined where the event was not read. */
  refused(code: HttpErrorCode, eventName: string | undefined): void;
}

/** From one write to a fast disk, to what a sender does not wait for. */
const ACK_SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];

export function createIntakeMetrics(registry: Registry): IntakeMetrics {
  // What handlers ask for is known to workers alone.
  const label = createEventLabel([]);
  const received = new Counter({
    name: 'b24_events_received_total',
    help: 'POSTs by the name of the event and by the answer: accepted, quarantined, or the code of an error',
    labelNames: ['event', 'result'],
    registers: [registry],
  });
  const acked = new Histogram({
    name: 'b24_ack_duration_seconds',
    help: 'From the arrival of a POST to its 200, the write to the disk included',
    buckets: ACK_SECONDS,
    registers: [registry],
  });
  return {
    kept(eventName, result, durationMs) {
      received.inc({ event: label(eventName), result });
      acked.observe(durationMs / 1000);
    },
    refused(code, eventName) {
      received.inc({ event: eventName === undefined ? 'other' : label(eventName), result: code });
    },
  };
}

/** Looked at when somebody asks. */
export function addStateMetrics(registry: Registry, look: LookAtIngress): void {
  for (const { metric: name, help, aggregator, of } of INGRESS_FIGURES) {
    const gauge = new Gauge({
      name,
      help,
      aggregator,
      registers: [registry],
      async collect() {
        gauge.set(of(await look()));
      },
    });
  }
}
