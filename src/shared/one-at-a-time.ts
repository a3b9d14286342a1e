/** However many ask while a look is under way, it is one look for all of them. */
export function oneAtATime<Value>(look: () => Promise<Value>): () => Promise<Value> {
  let underWay: Promise<Value> | undefined;
  return () => {
    underWay ??= look().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
