import type { Request, Response } from 'express';
import type { Config } from '../shared/config.js';
import { decodeForm, decodeJson } from './decode-body.js';
import { HttpError } from './http-error.js';
import { InFlightBytes } from './in-flight-bytes.js';
import { readBody } from './read-body.js';
import { formatOf, type BodyFormat } from './request-checks.js';

export interface Exchange {
  readonly request: Request;
  readonly response: Response;
}

export interface ReceivedBody {
  readonly format: BodyFormat;
  readonly bytes: Buffer;
}

/** Reads the body of a request, within the bounds, and holds its share of the bytes in flight until `use` has ended. */
export type ReceiveBody = <Value>(
  exchange: Exchange,
  use: (body: ReceivedBody) => Value | Promise<Value>,
) => Promise<Value>;

export interface ReceiveBodyDeps {
  readonly config: Pick<Config, 'bodyBytesMax'>;
  readonly inFlightBytesMax?: number;
}

/** Of all requests that are being read or wait for the disk, wherever they were posted to. */
const IN_FLIGHT_BYTES_MAX = 64 * 1_048_576;

export function createReceiveBody({ config, inFlightBytesMax }: ReceiveBodyDeps): ReceiveBody {
  const inFlight = new InFlightBytes(inFlightBytesMax ?? IN_FLIGHT_BYTES_MAX);
  return async ({ request, response }, use) => {
    const format = formatOf(request, config.bodyBytesMax);
    const share = inFlight.open();
    try {
      // Only now, so that a sender who asks first need not send a body that is refused.
      if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
      const bytes = await readBody(request, { bytesMax: config.bodyBytesMax, share });
      return await use({ format, bytes });
    } finally {
      share.release();
    }
  };
}

/** @throws {HttpError} invalid_body, with what is wrong. */
export function decodeBody(
  { format, bytes }: ReceivedBody,
  { bodyDepthMax, bodyParametersMax }: Pick<Config, 'bodyDepthMax' | 'bodyParametersMax'>,
): unknown {
  const bounds = { depthMax: bodyDepthMax, parametersMax: bodyParametersMax };
  const decoded = format === 'form' ? decodeForm(bytes, bounds) : decodeJson(bytes, bounds);
  if (!decoded.ok) throw new HttpError('invalid_body', { issues: decoded.issues });
  return decoded.value;
}
