import { execFile } from 'node:child_process';
import { availableParallelism, cpus, hostname, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { GPU_FIELDS, type Gpu, readGpus } from './nvidia-smi.js';

/** Hardware of a node that models can run on. */
export interface Machine {
  /** Host name, with the domain if it has one. */
  readonly host: string;
  readonly cpu: { readonly model: string; readonly cores: number; readonly memoryBytes: number };
  /** Empty without `nvidia-smi`. */
  readonly gpus: readonly Gpu[];
}

/** `nvidia-smi` answers within a second, or within ten while the driver starts. */
const ANSWER_MS = 20_000;

/**
 * Inspects this machine. Throws `INVALID_INVENTORY` if `nvidia-smi` exists and fails, or its output is not understood.
 */
export async function thisMachine(program = 'nvidia-smi'): Promise<Machine> {
  const [first] = cpus();
  return {
    host: hostname(),
    cpu: { model: spaced(first?.model ?? '') || 'cpu', cores: availableParallelism(), memoryBytes: totalmem() },
    gpus: await gpusBy(program),
  };
}

async function gpusBy(program: string): Promise<readonly Gpu[]> {
  const query = [`--query-gpu=${GPU_FIELDS.join(',')}`, '--format=csv,noheader,nounits'];
  try {
    const { stdout } = await promisify(execFile)(program, query, { timeout: ANSWER_MS });
    return readGpus(stdout);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    if ((error as { code?: unknown }).code === 'ENOENT') return [];
    const message = `the program exists but fails: ${messageOf(error)}`;
    throw new MillraceError('INVALID_INVENTORY', `${program}: ${message}`, { fields: [{ field: program, message }] });
  }
}

/** The hardware that runs models here, as text: the GPUs if there are any, else the CPU. */
export function describeMachine({ cpu, gpus }: Machine): string {
  if (gpus.length === 0) return `${cpu.cores} x ${cpu.model}`;
  const names = [...new Set(gpus.map(({ name }) => name))];
  return names.map((name) => `${gpus.filter((gpu) => gpu.name === name).length} x ${name}`).join(', ');
}

const spaced = (text: string): string => text.replace(/\s+/g, ' ').trim();
