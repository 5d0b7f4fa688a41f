import type { FastifyRequest } from 'fastify';
import { ProtocolError, RPC } from './errors.js';
import { V0_3 } from './v0-3.js';
import type { Wire } from './wire.js';

const METHODS: readonly string[] = [
  'SendMessage',
  'SendStreamingMessage',
  'GetTask',
  'ListTasks',
  'CancelTask',
  'SubscribeToTask',
  'CreateTaskPushNotificationConfig',
  'GetTaskPushNotificationConfig',
  'ListTaskPushNotificationConfigs',
  'DeleteTaskPushNotificationConfig',
  'GetExtendedAgentCard',
];

export const V1_0: Wire = {
  version: '1.0',
  methods: METHODS,
  methodOf: (name) => (METHODS.includes(name) ? name : undefined),
  paramsOf: (_, params) => params,
  resultOf: (result) => ('nothing' in result ? {} : result),
  eventOf: (event) => event,
  notificationType: 'application/a2a+json',
};

/** The versions that are spoken, the preferred one first. */
export const WIRES: readonly Wire[] = [V1_0, V0_3];
export const VERSIONS: readonly string[] = WIRES.map(({ version }) => version);

/** The header that names the version, and the parameter of the query that may do so in its place. */
export const VERSION_NAME = 'A2A-Version';

type Request = Pick<FastifyRequest, 'headers' | 'query'>;

/** The version that a request names, without its patch; empty if it names none. */
export function versionIn({ headers, query }: Request): string {
  const given = headers[VERSION_NAME.toLowerCase()] || (query as Readonly<Record<string, unknown>>)[VERSION_NAME];
  return String(given ?? '')
    .split('.', 2)
    .join('.');
}

/**
 * How a request is written: without a version in 0.3, as the protocol says. Throws the protocol's error for a version that is not
 * spoken, and for a method of 1.0 in a request that names no version.
 */
export function wireOf(request: Request, method: string): Wire {
  const version = versionIn(request);
  const wire = version === '' ? V0_3 : WIRES.find((each) => each.version === version);
  if (wire === undefined) throw notSpoken(`must be ${VERSIONS.join(' or ')}; it is "${version}"`);
  if (version !== '' || wire.methodOf(method) !== undefined || !METHODS.includes(method)) return wire;
  throw notSpoken(`is not given, which means ${wire.version}, and ${method} is a method of ${V1_0.version}`);
}

const notSpoken = (message: string): ProtocolError =>
  new ProtocolError(RPC.versionNotSupported, 'INVALID_HEADER', `${VERSION_NAME} ${message}`, VERSION_NAME);
