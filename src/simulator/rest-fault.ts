/** An error of the portal's REST or of the OAuth server, as it is answered. */
export class RestFault extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly description: string,
  ) {
    super(`${code}: ${description}`);
    this.name = 'RestFault';
  }
}

/** https://apidocs.bitrix24.com/api-reference/common-errors.html, where it is no error of one method alone. */
export const REST_FAULTS = {
  noAuth: () => new RestFault(401, 'NO_AUTH_FOUND', 'Wrong authorization data'),
  invalidToken: () => new RestFault(401, 'invalid_token', 'Unable to get application by token'),
  expiredToken: () => new RestFault(401, 'expired_token', 'The access token provided has expired.'),
  queryLimit: () => new RestFault(503, 'QUERY_LIMIT_EXCEEDED', 'Too many requests'),
  operatingLimit: () => new RestFault(429, 'OPERATION_TIME_LIMIT', 'Method is blocked due to operation time limit.'),
  noMethod: () => new RestFault(404, 'ERROR_METHOD_NOT_FOUND', 'Method not found!'),
  accessDenied: () => new RestFault(403, 'ACCESS_DENIED', 'Access denied!'),
  PAYMENT_REQUIRED: () => new RestFault(402, 'PAYMENT_REQUIRED', 'Payment required'),
  PORTAL_DELETED: () => new RestFault(500, 'PORTAL_DELETED', 'Portal was deleted'),
  ACCESS_DENIED: () => new RestFault(403, 'ACCESS_DENIED', 'REST is available only on commercial plans.'),
  OVERLOAD_LIMIT: () => new RestFault(503, 'OVERLOAD_LIMIT', 'REST API is blocked due to overload.'),
} as const;

/** By its fields and not by its class, which is another one in another realm. */
export function isRestFault(error: unknown): error is RestFault {
  return typeof error === 'object' && error !== null && 'name' in error && error.name === 'RestFault';
}
