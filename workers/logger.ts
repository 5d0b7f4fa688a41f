import { type Logger, pino } from 'pino';
import type { Settings } from './settings.js';

/**
 * Logs JSON lines to stdout, or to the configuration's logger; `process` distinguishes the worker's lines from the
 * gateway's.
 */
export const createLogger = (settings: Pick<Settings, 'MILLRACE_LOG_LEVEL' | 'config'>, process: string): Logger =>
  settings.config.logger?.child({ process }, { level: settings.MILLRACE_LOG_LEVEL }) ??
  pino({
    level: settings.MILLRACE_LOG_LEVEL,
    base: { process },
    messageKey: 'message',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    redact: ['req.headers.authorization', 'headers.authorization', 'apiKey'],
  });
