import { isMap } from '../../shared/is-map.js';
import type { JsonValue } from '../../shared/bitrix24/event.js';
import { isYes, jsonField } from '../../shared/bitrix24/json-field.js';
import type { CallAs } from '../../shared/bitrix24/rest/call-as.js';
import type { RestParams } from '../../shared/bitrix24/rest/portal-calls.js';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { ConnectorRefusal, type ConnectorRefusalCode } from './connector-refusal.js';

/** Where a connector is, and what it is called there. */
export interface ConnectorPlace {
  readonly connector: string;
  readonly line: number;
  readonly name: string;
  /** Of the app, for people. */
  readonly url: string | undefined;
}

export interface ConnectorCallsDeps {
  readonly callAs: CallAs;
  /** `https://<host>/rest/`, from the record of the portal and never from a request. */
  readonly endpoint: string;
  /** Of a person, and not the app's. */
  readonly accessToken: string;
  readonly timeoutMs: number;
}

/**
 * What the page asks of the portal, each within its time.
 *
 * @throws {ConnectorRefusal} portal_unreachable or portal_refused.
 */
export class ConnectorCalls {
  readonly #deps: ConnectorCallsDeps;

  constructor(deps: ConnectorCallsDeps) {
    this.#deps = deps;
  }

  /** https://apidocs.bitrix24.com/api-reference/common/users/profile.html */
  async isAdmin(): Promise<boolean> {
    return isYes(jsonField(await this.#call('profile', {}), 'ADMIN'));
  }

  /** https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-status.html */
  async readState({ connector, line }: ConnectorPlace): Promise<'on' | 'off' | 'faulty'> {
    const status = await this.#call('imconnector.status', { CONNECTOR: connector, LINE: line });
    if (!isMap(status)) throw new ConnectorRefusal('portal_refused', 'imconnector.status: no status in the answer');
    if (isYes(jsonField(status, 'ERROR'))) return 'faulty';
    return isYes(jsonField(status, 'STATUS')) ? 'on' : 'off';
  }

  /** https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-activate.html */
  async activate({ connector, line }: ConnectorPlace, state: 'on' | 'off'): Promise<void> {
    const params = { CONNECTOR: connector, LINE: line, ACTIVE: state === 'on' ? '1' : '0' };
    await this.#do('imconnector.activate', params);
  }

  /** https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-connector-data-set.html */
  async describe({ connector, line, name, url }: ConnectorPlace): Promise<void> {
    const data = { ID: connector, NAME: name, ...(url !== undefined && { URL: url }) };
    await this.#do('imconnector.connector.data.set', { CONNECTOR: connector, LINE: line, DATA: data });
  }

  async #do(method: string, params: RestParams): Promise<void> {
    const result = await this.#call(method, params);
    if (result === false) throw new ConnectorRefusal('portal_refused', `${method}: false`);
  }

  async #call(method: string, params: RestParams): Promise<JsonValue> {
    const { callAs, accessToken, timeoutMs } = this.#deps;
    try {
      // The transport refuses an address that is not on the list.
      const endpoint = new URL(this.#deps.endpoint);
      return await callAs({ endpoint, method, params, accessToken, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const reason = errorMessage(error).replaceAll(accessToken, '[sealed]');
      throw new ConnectorRefusal(refusalOf(error), `${method}: ${reason}`);
    }
  }
}

/** By the codes of {@link JobError}; what has none is a fault of the network, or took too long. */
function refusalOf(error: unknown): ConnectorRefusalCode {
  const code = errorCode(error) ?? '';
  return ['REST_REFUSED', 'REST_UNEXPECTED', 'REST_HOST_REFUSED'].includes(code)
    ? 'portal_refused'
    : 'portal_unreachable';
}
