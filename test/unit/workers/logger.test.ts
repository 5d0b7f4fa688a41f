import { type Logger, pino } from 'pino';
import { expect, test } from 'vitest';
import { MillraceError } from '../../../pipelines/errors.js';
import { NO_CONFIG } from '../../../workers/config/loaded.js';
import { createLogger } from '../../../workers/logger.js';

/** The lines that `log` writes. */
function linesOf(log: (logger: Logger) => void): readonly Record<string, unknown>[] {
  const lines: string[] = [];
  const own = pino({ messageKey: 'message' }, { write: (line: string) => void lines.push(line) });
  log(createLogger({ MILLRACE_LOG_LEVEL: 'info', config: { ...NO_CONFIG, logger: own } }, 'worker'));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** As ioredis makes it of a refusal. */
const refused = (message: string) =>
  Object.assign(new Error(message), {
    name: 'ReplyError',
    command: { name: 'evalsha', args: ['8d', 1, 'millrace:events:{run}', '{"text":"my name is Ada"}'] },
  });

test('a line has the process, and is left out below the level', () => {
  const lines = linesOf((logger) => {
    logger.debug({}, 'unseen');
    logger.info({ tenant: 'acme' }, 'seen');
  });
  expect(lines).toMatchObject([{ process: 'worker', tenant: 'acme', message: 'seen' }]);
});

test('what Redis refuses to store is not logged: its message and the name of the command are', () => {
  const full = refused("OOM command not allowed when used memory > 'maxmemory'.");
  const aborted = Object.assign(new Error('EXECABORT Transaction discarded'), { previousErrors: [full] });
  const lines = linesOf((logger) => {
    logger.warn({ err: full }, 'events are lost');
    logger.warn({ err: aborted }, 'a transaction is lost');
    logger.child({ requestId: 'r' }).error({ err: full }, 'request failed');
    logger.error({ err: new MillraceError('INTERNAL', 'broken', {}, { cause: full }) }, 'request failed');
  });
  expect(JSON.stringify(lines)).not.toContain('Ada');
  const shown = { message: full.message, command: 'evalsha', stack: expect.any(String) };
  expect(lines.map(({ err }) => err)).toMatchObject([
    shown,
    { previousErrors: [full.message] },
    shown,
    { message: expect.stringContaining('OOM') },
  ]);
});

test('other errors keep their fields', () => {
  const error = Object.assign(new Error('spawn ffmpeg ENOENT'), { code: 'ENOENT', path: 'ffmpeg' });
  const [line] = linesOf((logger) => logger.warn({ err: error }, 'no ffmpeg'));
  expect(line?.err).toMatchObject({ type: 'Error', message: error.message, code: 'ENOENT', path: 'ffmpeg' });
});
