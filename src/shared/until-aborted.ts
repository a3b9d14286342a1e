/** Rejects with the signal's reason as soon as it is aborted; what is still under way then is left to itself. */
export function untilAborted<Value>(signal: AbortSignal, promise: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason as Error);
    if (signal.aborted) giveUp();
    signal.addEventListener('abort', giveUp);
    const finish = (): void => signal.removeEventListener('abort', giveUp);
    promise.then(resolve, reject).finally(finish);
  });
}
