import { MillraceError } from '../../pipelines/errors.js';
import { MOST_FILES } from '../../pipelines/stages/sandbox.js';
import { FairSlots } from '../../runtime/fair-slots.js';
import type { SandboxConfig, SandboxesConfig } from './config.js';
import { loadEngine, QuickJsSandbox } from './quickjs/index.js';
import {
  LONGEST_ERROR,
  type Outcome,
  type Program,
  type Sandbox,
  type SandboxLimits,
  tooMuchOutput,
} from './sandbox.js';
import { SandboxService } from './service.js';

/** A program, with the limits that its tool asks for. */
export interface Asked extends Omit<Program, 'limits' | 'files'> {
  readonly limits: Partial<SandboxLimits>;
  /** Reads the files, at most so many bytes of them, once the call has its place. */
  readonly files: (mostBytes: number) => Promise<Program['files']>;
  /** Awaited just before the program runs, which may have waited for its place. Rejects if it must not: another attempt may run it. */
  readonly mayBegin?: (() => Promise<void>) | undefined;
}

interface Kept {
  readonly sandbox: Sandbox;
  readonly slots: FairSlots;
  readonly limits: SandboxLimits;
}

/** The sandboxes of a worker, by the names that pipelines use. */
export class Sandboxes {
  readonly #kept: ReadonlyMap<string, Kept>;

  constructor(kept: ReadonlyMap<string, Kept>) {
    this.#kept = kept;
  }

  /**
   * Runs a program under the lower ones of its own limits and the sandbox's. Throws as `Sandbox.run` does, and
   * `SANDBOX_NOT_CONFIGURED` for a sandbox or a language that this worker does not have.
   */
  async run(name: string, { limits: asked, files, mayBegin, ...program }: Asked): Promise<Outcome> {
    const { sandbox, slots, limits: most } = this.#named(name, program.language);
    const limits = lower(most, asked);
    return await slots.use(program.tenant, program.signal, async () => {
      const read = await files(most.fileBytes);
      await mayBegin?.();
      return bounded(await sandbox.run({ ...program, files: read, limits }), limits);
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#kept.values()].map(({ sandbox }) => sandbox.close()));
  }

  #named(name: string, language: string): Kept {
    const kept = this.#kept.get(name);
    if (!kept) {
      const known = [...this.#kept.keys()].join(', ') || 'none';
      throw new MillraceError('SANDBOX_NOT_CONFIGURED', `no sandbox "${name}" (configured: ${known})`);
    }
    const { languages } = kept.sandbox;
    if (languages.includes(language)) return kept;
    const message = `the sandbox "${name}" runs ${languages.join(', ')}, not ${language}`;
    throw new MillraceError('SANDBOX_NOT_CONFIGURED', message);
  }
}

/** Opens all sandboxes of a configuration. Throws `INVALID_SETTING` if one needs a package that is not installed. */
export async function openSandboxes(config: SandboxesConfig): Promise<Sandboxes> {
  const all = Object.entries(config).map(async ([name, each]) => [name, await keptOf(name, each)] as const);
  return new Sandboxes(new Map(await Promise.all(all)));
}

async function keptOf(name: string, config: SandboxConfig): Promise<Kept> {
  const { timeMs, memoryBytes, outputCharacters, fileBytes, concurrency } = config;
  const { tenantConcurrency = Math.ceil(concurrency / 2) } = config;
  return {
    sandbox: 'engine' in config ? new QuickJsSandbox(await loadEngine()) : new SandboxService(name, config),
    slots: new FairSlots(concurrency, tenantConcurrency),
    limits: { timeMs, memoryBytes, outputCharacters, fileBytes },
  };
}

const lower = (most: SandboxLimits, asked: Partial<SandboxLimits>): SandboxLimits => ({
  timeMs: Math.min(most.timeMs, asked.timeMs ?? most.timeMs),
  memoryBytes: Math.min(most.memoryBytes, asked.memoryBytes ?? most.memoryBytes),
  outputCharacters: Math.min(most.outputCharacters, asked.outputCharacters ?? most.outputCharacters),
  fileBytes: Math.min(most.fileBytes, asked.fileBytes ?? most.fileBytes),
});

/** An outcome within its limits, whatever the sandbox has given. */
function bounded({ result, stdout, files, error }: Outcome, limits: SandboxLimits): Outcome {
  const { outputCharacters: most, fileBytes } = limits;
  const tooLong = result !== undefined && JSON.stringify(result).length > most;
  const bytes = files.reduce((sum, file) => sum + file.bytes.length, 0);
  const tooMany = files.length > MOST_FILES || bytes > fileBytes;
  const problems = [
    ...(error === undefined ? [] : [cut(error, LONGEST_ERROR)]),
    ...(tooLong ? [tooMuchOutput('the result', most)] : []),
    ...(tooMany ? [`the files are more than ${MOST_FILES}, or more than ${fileBytes} bytes; none is kept`] : []),
  ];
  return {
    ...(result !== undefined && !tooLong && { result }),
    stdout: cut(stdout, most),
    files: tooMany ? [] : files,
    ...(problems.length > 0 && { error: problems.join('\n') }),
  };
}

const cut = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most)}\n[cut: there were more than ${most} characters]`;
