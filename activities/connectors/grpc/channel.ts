import { type ChannelOptions, Client } from '@grpc/grpc-js';
import { isLoopback } from '../../../runtime/loopback.js';
import type { Link } from '../connector.js';
import { credentialsOf, namedAs } from './link.js';

const MEBIBYTE = 1024 * 1024;

/**
 * gRPC's default of 4 MiB is 87 s of 16-bit speech at 24 kHz; a limit remains so that an oversized answer cannot exhaust
 * memory.
 */
export const MOST_MESSAGE_BYTES = 64 * MEBIBYTE;

const CHANNEL: ChannelOptions = {
  // Reconnects to a restarted server within a second: gRPC's own backoff grows to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  // A host name that now resolves to another machine (a rescheduled pod) is looked up again after 1 s, not 30 s.
  'grpc.dns_min_time_between_resolutions_ms': 1_000,
  // HTTP/2's window of 64 KiB stops the server in a large answer until this process has read: a round trip each time.
  'grpc-node.flow_control_window': 16 * MEBIBYTE,
  // No gRPC retries: the stage's policy owns retries.
  'grpc.enable_retries': 0,
  // Detects a machine that disappeared without closing its connections. Not more often: Triton allows one ping in five
  // minutes and closes the connection, with its calls, of a client that sends more.
  'grpc.keepalive_time_ms': 310_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_receive_message_length': MOST_MESSAGE_BYTES,
  'grpc.max_send_message_length': MOST_MESSAGE_BYTES,
};

/**
 * A gRPC client of one endpoint; it connects with its first call.
 * @param address `host:port`, or `grpcs://host:port` for TLS with the system's certificate authorities
 * @param link certificates and the server's name. Throws `INVALID_SETTING` where gRPC cannot have them
 * @param more channel options of the connector
 */
export const openChannel = (address: string, link: Link, more: ChannelOptions = {}): Client =>
  new Client(address.replace(/^grpcs?:\/\//, ''), credentialsOf(address, link), {
    ...CHANNEL,
    ...namedAs(address, link),
    ...(isLoopback(address) && { 'grpc.enable_http_proxy': 0 }),
    ...more,
  });
