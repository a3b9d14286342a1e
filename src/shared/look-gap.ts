/**
 * Looks are made every few seconds. One that comes this late, because the process was suspended, says nothing of the time in between:
 * whoever judges by looks begins anew.
 */
export const LOOK_GAP_MS_MAX = 20_000;
