import { type Logger, pino } from 'pino';
import { messageOf } from '../pipelines/errors.js';
import type { Settings } from './settings.js';

/**
 * Logs JSON lines to stdout, or to the configuration's logger; `process` distinguishes the worker's lines from the
 * gateway's.
 */
export const createLogger = (settings: Pick<Settings, 'MILLRACE_LOG_LEVEL' | 'config'>, process: string): Logger =>
  (settings.config.logger ?? ownLogger()).child(
    { process },
    { level: settings.MILLRACE_LOG_LEVEL, serializers: { err: errorField } },
  );

const ownLogger = (): Logger =>
  pino({
    base: null,
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    redact: ['req.headers.authorization', 'headers.authorization', 'apiKey'],
  });

/**
 * An error as a field of a log line. Errors of Redis carry the command that it has refused, with all of its arguments: what runs were given
 * and have returned. Its name remains.
 */
function errorField(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const field = pino.stdSerializers.err(error);
  const command: { readonly name?: unknown } | null | undefined = field.command;
  const previous: unknown = field.previousErrors;
  return {
    ...field,
    ...(command?.name !== undefined && { command: command.name }),
    ...(Array.isArray(previous) && { previousErrors: previous.map(messageOf) }),
  };
}
