import { errorMessage } from '../caught-error.js';
import type { Config } from '../config.js';
import type { Logger } from '../logger.js';
import { resolvesWithin } from '../time-limit.js';
import { withoutTracing, type Tracing } from './tracing.js';

export interface TracingDeps {
  readonly config: Pick<Config, 'otlpEndpoint' | 'tracesShare'>;
  /** `ingress` or `worker`. */
  readonly name: string;
  readonly logger: Logger;
}

const STOP_MS = 2000;
const SAY_EVERY_MS = 60_000;

/** Nothing of OpenTelemetry is loaded where OTEL_EXPORTER_OTLP_ENDPOINT is not set. */
export async function startTracing({ config, name, logger }: TracingDeps): Promise<Tracing> {
  const { otlpEndpoint: endpoint, tracesShare: share } = config;
  if (endpoint === undefined) return withoutTracing;
  const { createOtelTracing } = await import('./otel-tracing.js');
  let saidAtMs = Number.NEGATIVE_INFINITY;
  const onFailure = (reason: string): void => {
    if (performance.now() - saidAtMs < SAY_EVERY_MS) return;
    saidAtMs = performance.now();
    logger.warn({ event: 'tracing.failing', reason }, 'traces cannot be sent; events are not touched by that');
  };
  const tracing = createOtelTracing({ endpoint, share, serviceName: `b24-${name}`, onFailure });
  return {
    ...tracing,
    async stop() {
      try {
        if (!(await resolvesWithin(tracing.stop(), STOP_MS))) onFailure(`not sent within ${STOP_MS} ms`);
      } catch (error) {
        onFailure(errorMessage(error));
      }
    },
  };
}
