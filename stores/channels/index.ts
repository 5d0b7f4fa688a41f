/** Channels: the append-only logs of stages' streamed outputs, between stages and to clients. */
export type { ChannelEnd, ChannelLog, ChannelName } from './channel.js';
export { type Position, type ReadEntry, readAhead, readChannel } from './channel-reader.js';
export { ChannelWriter, lost as streamLost } from './channel-writer.js';
export { MemoryChannelLog } from './memory-log.js';
export { GONE_MS } from './missing.js';
export { eraseChannel, RedisChannelLog } from './redis-log.js';
export { keepChannel, readStream, type StreamPosition } from './stream-reader.js';
