import type { HostMessage, WorkerMessage } from './host-messages.js';

export interface ParentChannel {
  readonly send: (message: HostMessage) => void;
  /** From then on each message of the worker is told to `take`, and to nobody else. */
  readonly listen: (take: (message: WorkerMessage) => void) => void;
}

/**
 * Takes the channel to the worker away from the modules that are loaded later: they neither write to it nor see what comes. Node
 * keeps what came before there was a listener.
 */
export function takeParentChannel(): ParentChannel {
  const emit = process.emit.bind(process) as (name: string | symbol, ...args: unknown[]) => boolean;
  // `send` looks for its other half on whatever it is called on.
  const sender = Object.create(process, { send: own('send'), _send: own('_send') }) as NodeJS.Process;
  for (const name of ['send', '_send']) Reflect.deleteProperty(process, name);
  let tell: ((message: WorkerMessage) => void) | undefined;
  const emitOthers = (name: string | symbol, ...args: unknown[]): boolean => {
    if (name !== 'message') return emit(name, ...args);
    tell?.(args[0] as WorkerMessage);
    return true;
  };
  // Can be written again: libraries that watch for the exit wrap it.
  Reflect.set(process, 'emit', emitOthers);
  return {
    send(message) {
      // Without a parent there is nobody to tell; `disconnect` ends this process then.
      if (process.connected) sender.send?.(message, undefined, undefined, () => undefined);
    },
    listen(take) {
      tell = take;
      // Node tells nothing while nobody listens.
      process.on('message', () => undefined);
    },
  };
}

function own(name: string): PropertyDescriptor {
  return { value: Reflect.get(process, name) };
}
