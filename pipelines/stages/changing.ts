/** Kinds whose calls change something elsewhere, or may: once more is not the same as once. */
const CHANGING: ReadonlySet<string> = new Set(['code', 'http', 'upsert', 'infer', 'mcp', 'session']);

export const changesElsewhere = (kind: string): boolean => CHANGING.has(kind);
