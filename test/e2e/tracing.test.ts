import { afterEach, describe, expect, it } from '@jest/globals';
import { System, messageBody } from '../support/system.js';
import { startTraceCollector, type CollectedSpan, type TraceCollector } from '../support/trace-collector.js';
import { waitUntil } from '../support/wait-until.js';

let system: System | undefined;
let collector: TraceCollector | undefined;

afterEach(async () => {
  await system?.close();
  await collector?.close();
  system = collector = undefined;
});

function named(spans: readonly CollectedSpan[], name: string): readonly CollectedSpan[] {
  return spans.filter((span) => span.name === name);
}

/** In order, so that what was gathered is sent. */
async function endAll({ worker, api }: System): Promise<void> {
  for (const one of [worker, api]) {
    one?.signal('SIGTERM');
    await one?.ended();
  }
}

describe('traces', () => {
  it('show one event from its POST to the last attempt at its last effect, in one trace', async () => {
    collector = await startTraceCollector();
    const { spans } = collector;
    system = await System.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
    system.receiver.answer = (_request, count) => ({ status: count === 1 ? 503 : 204 });

    await system.post(messageBody(1, { 'auth[access_token]': 'SECRETaccess0001' }));
    await waitUntil('both attempts are traced', () => named(spans, 'effect forward').length === 2);
    await waitUntil('the POST is traced', () => named(spans, 'POST /events').length === 1);

    const [post] = named(spans, 'POST /events');
    const ofEvent = spans.filter(({ traceId }) => traceId === post?.traceId);
    expect(post).toMatchObject({ service: 'b24-ingress', attributes: { 'b24.event_name': 'ONIMCONNECTORMESSAGEADD' } });
    const names = ofEvent.map(({ name }) => name.replace(/\..*/, ''));
    const steps = ['journal', 'add deliveries', 'process deliveries', 'add effects', 'process effects'];
    expect(names).toEqual(expect.arrayContaining(steps));
    expect(named(ofEvent, 'effect forward')).toMatchObject([{ service: 'b24-worker' }, { service: 'b24-worker' }]);
    expect(collector.text()).not.toContain('SECRET');
  });

  it('tell that an effect failed by its code alone, not in words that may quote the event', async () => {
    collector = await startTraceCollector();
    const { spans } = collector;
    system = await System.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });

    await system.post(messageBody(1, { 'data[LINE]': 'WORDS' }));
    await waitUntil('its job is traced', () => spans.some(({ name }) => name === 'process deliveries'));

    await endAll(system);
    expect(system.worker?.output()).toContain('DATA_INVALID');
    expect(collector.text()).not.toContain('data.LINE');
  });

  it('begin with POSTs alone: looks at the queue are none', async () => {
    collector = await startTraceCollector();
    const { spans } = collector;
    system = await System.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
    await system.post(messageBody(1));
    await waitUntil('the effect is traced', () => named(spans, 'effect forward').length === 1);

    await endAll(system);
    const roots = spans.filter(({ parentSpanId }) => !parentSpanId);
    expect(roots.map(({ name }) => name)).toEqual(['POST /events']);
  });

  it('hold nothing up where the collector is not there', async () => {
    system = await System.start({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' } });
    await system.post(messageBody(1));
    await system.allForwarded([1]);
    await waitUntil('it is said once', () => (system?.worker?.logged('tracing.failing') ?? []).length === 1);
    system.worker?.signal('SIGTERM');
    expect(await system.worker?.ended()).toBe(0);
  });

  it('send nothing of what is not asked for', async () => {
    collector = await startTraceCollector();
    system = await System.start({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: '0' },
    });
    await system.post(messageBody(1));
    await system.allForwarded([1]);
    await endAll(system);
    expect(collector.spans).toEqual([]);
  });
});
