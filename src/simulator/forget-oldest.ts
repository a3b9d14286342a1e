/** So much is forgotten at once, that not every new entry costs a search for the oldest. */
const SHARE = 0.1;

/** Forgets the oldest of a list that has grown beyond `countMax`, and gives what that was. */
export function forgetOldestItems<Item>(list: Item[], countMax: number): readonly Item[] {
  return list.length > countMax ? list.splice(0, Math.ceil(countMax * SHARE)) : [];
}

/** The same of a map. */
export function forgetOldestEntries<Key, Value>(map: Map<Key, Value>, countMax: number): readonly Value[] {
  if (map.size <= countMax) return [];
  const forgotten: Value[] = [];
  for (const [key, value] of map) {
    if (forgotten.length >= Math.ceil(countMax * SHARE)) break;
    map.delete(key);
    forgotten.push(value);
  }
  return forgotten;
}
