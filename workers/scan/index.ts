import path from 'node:path';
import type { Logger } from 'pino';
import { messageOf } from '../../pipelines/errors.js';
import { type Finding, WARNINGS, type WarningCode } from '../../pipelines/inspect/index.js';
import { isAuthors } from '../../runtime/author-frames.js';
import { localFiles } from '../sources.js';
import { type Spot, scanSource } from './scan-source.js';

/** Files of a module that are scanned, the bytes of one and of all, and the findings kept: beyond it is no source tree. */
const MOST = { files: 200, fileBytes: 512 * 1024, bytes: 4 * 1024 * 1024, findings: 100 };

const SOURCE = /(?<!\.d)\.[cm]?[jt]s$/;

/**
 * Probable mistakes in the sources of a module and of the files that it refers to by relative paths. Nothing is executed.
 * A file that cannot be parsed is a finding, never an error.
 */
export async function scanSources(module: string): Promise<readonly Finding[]> {
  const { parseSource } = await import('./parse.js');
  const found: Finding[] = [];
  let [files, bytes] = [0, 0];
  for await (const { file, content } of localFiles(module)) {
    if (!SOURCE.test(file) || !isAuthors(file)) continue;
    const shown = path.relative(process.cwd(), file);
    files += 1;
    bytes += content.length;
    if (files > MOST.files || bytes > MOST.bytes) break;
    const add = (code: WarningCode, { pipeline, message }: Pick<Spot, 'pipeline' | 'message'>, at: string) =>
      found.push({ level: 'warning', pipeline, stage: '-', code, message, remedy: WARNINGS[code], at });
    const skipped = (why: string) =>
      add('NOT_SCANNED', { pipeline: '-', message: `is not searched for mistakes: ${why}` }, shown);
    if (content.length > MOST.fileBytes) {
      skipped(`it has ${content.length} bytes, more than ${MOST.fileBytes}`);
      continue;
    }
    try {
      const source = content.toString('utf8');
      for (const spot of scanSource(parseSource(source, file), source)) {
        add(spot.code, spot, `${shown}:${spot.line}:${spot.column}`);
      }
    } catch (error) {
      skipped(`it cannot be parsed: ${messageOf(error)}`);
    }
  }
  return found.slice(0, MOST.findings);
}

/** The place of the first syntax error in a module and the files that it refers to, if there is one. */
export async function syntaxErrorIn(module: string): Promise<string | undefined> {
  const { parseSource } = await import('./parse.js');
  for await (const { file, content } of localFiles(module)) {
    if (!SOURCE.test(file) || !isAuthors(file) || content.length > MOST.fileBytes) continue;
    try {
      parseSource(content.toString('utf8'), file);
    } catch (error) {
      const { line, column = 0 } = (error as { loc?: { line?: number; column?: number } }).loc ?? {};
      if (line !== undefined) return `${path.relative(process.cwd(), file)}:${line}:${column + 1}`;
    }
  }
  return undefined;
}

/** Logs the probable mistakes in a module's sources; it delays nothing and never fails. */
export async function logMistakes(module: string, logger: Logger): Promise<void> {
  try {
    for (const { code, message, at, pipeline, remedy } of await scanSources(path.resolve(module))) {
      logger.warn({ code, pipeline, at, remedy }, message);
    }
  } catch (error) {
    logger.debug({ err: error }, 'the sources of the pipelines are not searched for mistakes');
  }
}
