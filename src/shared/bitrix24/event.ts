/** What JSON can say. The ingress keeps foreign data in this form; see `wire-form.ts` for the shape it has by then. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** One thing wrong with what came. Neither path nor message ever quotes a value. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** The fields of `auth` that may stand in the open; everything else in it is sealed. */
export interface OpenAuth {
  readonly memberId: string;
  readonly domain: string | null;
  readonly scope: string | null;
  /** `F`, `L`, `S`, … : portals send letters that no document lists. */
  readonly status: string | null;
  /** Who caused the event; nobody for a robot, an agent or the portal itself. */
  readonly userId: number | null;
  readonly clientEndpoint: string | null;
  readonly serverEndpoint: string | null;
  /** Seconds since 1970. */
  readonly expires: number | null;
  /** Seconds. */
  readonly expiresIn: number | null;
}

// The payloads below are type aliases, not interfaces: only an alias is assignable to JsonValue. Fields that are not
// listed survive at run time as they came; a field is optional where the portal is known to leave it out.

export type MessageRef = { readonly chat_id: number; readonly message_id: number };

/** `id` is the channel's own id of the chat, whatever the channel makes of it. */
export type ForeignChat = { readonly id: string };

export type MessageFile = {
  readonly name?: string;
  /** `image`, `file`, … */
  readonly type?: string;
  readonly mime?: string;
  readonly link?: string;
  readonly downloadLink?: string;
  /** Bytes. */
  readonly size?: number;
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
};

export type AddedMessage = {
  readonly im: MessageRef;
  /** `text` is BBCode, empty or absent where only files are sent; `user_id` is 0 for the system. */
  readonly message: { readonly user_id?: number; readonly text?: string; readonly files?: readonly MessageFile[] };
  readonly chat: ForeignChat;
};

export type UpdatedMessage = {
  readonly im: MessageRef;
  readonly message: {
    readonly id: readonly string[];
    readonly user_id?: number;
    readonly text?: string;
    readonly files?: readonly MessageFile[];
  };
  readonly chat: ForeignChat;
};

export type DeletedMessage = {
  readonly im: MessageRef;
  readonly message: { readonly id: readonly string[] };
  readonly chat: ForeignChat;
};

export type MessagesPayload<Message> = {
  readonly connector: string;
  readonly line: number;
  readonly messages: readonly Message[];
};

export type Dialog = {
  readonly connector: {
    readonly connector_id?: string;
    readonly line_id?: number;
    readonly chat_id?: string;
    readonly user_id?: number;
  };
  readonly session: {
    readonly id?: number;
    readonly closed?: boolean;
    readonly parent_id?: number;
    readonly close_term?: number;
  };
  readonly chat: ForeignChat;
  readonly user: { readonly id?: string };
};

export type DialogsPayload = {
  readonly connector: string;
  readonly line: number;
  readonly dialogs: readonly Dialog[];
};

export type StatusDeletePayload = { readonly connector: string; readonly line: number };

export type LineDeletePayload = { readonly line: number };

export type AppInstallPayload = {
  readonly version?: string;
  readonly active?: boolean;
  readonly installed?: boolean;
  readonly language_id?: string;
};

export type AppUpdatePayload = {
  readonly version?: string;
  readonly previous_version?: string;
  readonly language_id?: string;
};

/** `clean`: the user asked to delete the app's data too. Absent is not a yes. */
export type AppUninstallPayload = { readonly language_id?: string; readonly clean?: boolean };

export type AppPaymentPayload = {
  readonly code?: string;
  readonly version?: string;
  readonly status?: string;
  readonly payment_expired?: boolean;
  readonly days?: number;
  readonly language_id?: string;
};

export interface PayloadByName {
  readonly ONIMCONNECTORMESSAGEADD: MessagesPayload<AddedMessage>;
  readonly ONIMCONNECTORMESSAGEUPDATE: MessagesPayload<UpdatedMessage>;
  readonly ONIMCONNECTORMESSAGEDELETE: MessagesPayload<DeletedMessage>;
  readonly ONIMCONNECTORDIALOGSTART: DialogsPayload;
  readonly ONIMCONNECTORDIALOGFINISH: DialogsPayload;
  readonly ONIMCONNECTORSTATUSDELETE: StatusDeletePayload;
  readonly ONIMCONNECTORLINEDELETE: LineDeletePayload;
  readonly ONAPPINSTALL: AppInstallPayload;
  readonly ONAPPUPDATE: AppUpdatePayload;
  readonly ONAPPUNINSTALL: AppUninstallPayload;
  readonly ONAPPPAYMENT: AppPaymentPayload;
}

export type KnownEventName = keyof PayloadByName;

export type KnownPayload = PayloadByName[KnownEventName];

// A record and not a list, so that the compiler misses a name that is added above and forgotten here.
const KNOWN_EVENT_NAMES: Readonly<Record<KnownEventName, true>> = {
  ONIMCONNECTORMESSAGEADD: true,
  ONIMCONNECTORMESSAGEUPDATE: true,
  ONIMCONNECTORMESSAGEDELETE: true,
  ONIMCONNECTORDIALOGSTART: true,
  ONIMCONNECTORDIALOGFINISH: true,
  ONIMCONNECTORSTATUSDELETE: true,
  ONIMCONNECTORLINEDELETE: true,
  ONAPPINSTALL: true,
  ONAPPUPDATE: true,
  ONAPPUNINSTALL: true,
  ONAPPPAYMENT: true,
};

/** Whether the payload of this event has a schema here; `name` in upper case. */
export function isKnownEventName(name: string): name is KnownEventName {
  return Object.hasOwn(KNOWN_EVENT_NAMES, name);
}

interface EventEnvelope {
  readonly handlerId: number | null;
  /** Whole seconds since 1970. */
  readonly ts: number;
  readonly auth: OpenAuth;
}

export interface KnownEvent<Name extends KnownEventName> extends EventEnvelope {
  readonly kind: Name;
  readonly name: Name;
  readonly payload: PayloadByName[Name];
}

export type AnyKnownEvent = { readonly [Name in KnownEventName]: KnownEvent<Name> }[KnownEventName];

/** One of the hundreds of events that have no schema here; its payload stands as the portal sent it. */
export interface OtherEvent extends EventEnvelope {
  readonly kind: 'OTHER';
  readonly name: string;
  readonly payload: JsonValue;
}

export type BitrixEvent = AnyKnownEvent | OtherEvent;

/** What became of `data`. None of the three holds a secret. */
export type ParsedBody =
  | { readonly state: 'typed'; readonly payload: JsonValue }
  | { readonly state: 'open'; readonly payload: JsonValue }
  /** A known event whose data does not fit: kept, because the portal will not send it again. */
  | { readonly state: 'quarantined'; readonly data: JsonValue; readonly issues: readonly Issue[] };
