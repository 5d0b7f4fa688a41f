/**
 * Whether an address (`host`, `host:port` or a URL) is this machine's own. A proxy of the environment cannot reach what
 * lies there, though gRPC would send it there.
 */
export const isLoopback = (address: string): boolean => /^(\w+:\/\/)?(127\.|\[?::1\]?|localhost\b)/.test(address);
