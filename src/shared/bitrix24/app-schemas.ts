import { z } from 'zod';
import { flag, record, text, wholeNumber } from './schema-parts.js';

// Nothing is required: an installation must not wait in quarantine because a language is missing.

const optionalText = z.exactOptional(text);
const optionalFlag = z.exactOptional(flag);

export const appInstall = record(
  { version: optionalText, active: optionalFlag, installed: optionalFlag, language_id: optionalText },
  { mayBeAbsent: true },
);

export const appUpdate = record(
  { version: optionalText, previous_version: optionalText, language_id: optionalText },
  { mayBeAbsent: true },
);

export const appUninstall = record({ language_id: optionalText, clean: optionalFlag }, { mayBeAbsent: true });

export const appPayment = record(
  {
    code: optionalText,
    version: optionalText,
    status: optionalText,
    payment_expired: optionalFlag,
    days: z.exactOptional(wholeNumber),
    language_id: optionalText,
  },
  { mayBeAbsent: true },
);
