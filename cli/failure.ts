import { ClientError } from '../client/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { complain, EXIT, note } from './output.js';

/** Codes that mean that a server is unavailable, rather than that the request is wrong. */
const UNAVAILABLE = new Set([
  'GATEWAY_UNAVAILABLE',
  'ORCHESTRATOR_UNAVAILABLE',
  'STACK_START_FAILED',
  'STACK_PORT_IN_USE',
  'STACK_UNSUPPORTED',
  'STORE_UNAVAILABLE',
  'BACKEND_UNAVAILABLE',
]);

/** The exit code of a command that failed. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof MillraceError) {
    if (UNAVAILABLE.has(error.code)) return EXIT.unavailable;
    return error.code.startsWith('INVALID_') ? EXIT.usage : EXIT.failed;
  }
  if (error instanceof ClientError) {
    if (UNAVAILABLE.has(error.code)) return EXIT.unavailable;
    return error.status >= 500 || error.run ? EXIT.failed : EXIT.usage;
  }
  return EXIT.failed;
}

/**
 * Prints why a command failed.
 * @param gatewayUrl the gateway that a setting names; undefined: that of this machine, which `millrace up` starts
 */
export function printFailure(error: unknown, gatewayUrl?: string): void {
  const code = error instanceof MillraceError || error instanceof ClientError ? error.code : undefined;
  complain(`millrace: ${code ? `${code}: ` : ''}${messageOf(error)}`);
  if (error instanceof ClientError) {
    for (const { field, message } of error.fields) complain(`  ${field}: ${message}`);
    if (error.status === 0 && gatewayUrl === undefined) note('start a gateway with "millrace up"');
  }
  if (code === undefined && error instanceof Error && error.stack) note(error.stack);
}
