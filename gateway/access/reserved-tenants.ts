/** `default` is the tenant of a gateway without authentication; `millrace` is for later use. */
const RESERVED: ReadonlySet<string> = new Set(['default', 'millrace']);

/** Whether neither a proxy nor a token may name a tenant. */
export const isReserved = (tenant: string): boolean => RESERVED.has(tenant);
