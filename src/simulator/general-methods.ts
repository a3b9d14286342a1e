import { APP_SCOPE, APP_STATUS } from './portal-state.js';
import type { MethodCall, RestMethods } from './rest-method.js';

/** What every app may ask, whatever its scope. */
export const GENERAL_METHODS: RestMethods = {
  profile,
  'user.admin': ({ owner }) => owner.isAdmin,
  'app.info': appInfo,
  scope: () => APP_SCOPE.split(','),
};

function profile({ owner, portal }: MethodCall): unknown {
  const user = owner.isAdmin ? portal.admin : portal.employee;
  return { ID: String(owner.userId), ADMIN: owner.isAdmin, NAME: user.name, LAST_NAME: '', PERSONAL_GENDER: '' };
}

/** Not to be mistaken for the one of the OAuth server: this one proves nothing. */
function appInfo({ owner, portal }: MethodCall): unknown {
  return {
    ID: 1,
    CODE: owner.clientId,
    VERSION: portal.version,
    STATUS: APP_STATUS,
    INSTALLED: portal.isInstalled,
    PAYMENT_EXPIRED: portal.faults.refusal === 'PAYMENT_REQUIRED' ? 'Y' : 'N',
    DAYS: null,
    LANGUAGE_ID: 'en',
    LICENSE: portal.isEnterprise ? 'en_ent250' : 'en_std',
  };
}
