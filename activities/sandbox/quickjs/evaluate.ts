import * as release from '@jitl/quickjs-wasmfile-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSSyncVariant,
} from 'quickjs-emscripten-core';
import { MOST_FILES } from '../../../pipelines/stages/sandbox.js';
import { type SandboxFile, tooLate, tooMuchMemory, tooMuchOutput } from '../sandbox.js';
import { Guest } from './guest.js';
import type { Order, Reply } from './messages.js';

/** Node's types lack it. */
declare const WebAssembly: { readonly Memory: new (pages: { initial: number; maximum: number }) => object };

/** Its types are those of a CommonJS module; what is imported is none. */
const VARIANT = release.default as unknown as QuickJSSyncVariant;

const PAGE_BYTES = 65_536;
/** What the binary asks for at least, in pages: its data and 5 MB of stack are in it. */
const FIRST_PAGES = 256;
/** The most that 32 bits address. */
const MOST_PAGES = 32_768;
/**
 * Memory of an instance beside that of the code, in bytes, and for each byte of the code's: allocations have gaps. This is the limit.
 * QuickJS's own is not: compiled to WebAssembly it counts the number of small allocations and not their sizes.
 */
const BESIDE = { bytes: FIRST_PAGES * PAGE_BYTES, perByte: 1.25 };
/** Of the code's calls: a tenth of the stack, because QuickJS checks it at calls only. */
const STACK_BYTES = 512 * 1024;
/** Kept from the code for what is read after it: the code may have used up everything else. */
const SPARE_BYTES = 1024 * 1024;
/** Most bytes of a UTF-16 unit in UTF-8. */
const UTF8_BYTES = 3;

/** Time for what is read after the code, in milliseconds. */
const READ_MS = 250;
/** Jobs of promises between two looks at the clock. */
const JOBS_AT_ONCE = 1_000;

/** JS_EVAL_FLAG_ASYNC of quickjs.h: the code may `await`, and its value is a promise of `{ value }`. */
const EVAL_ASYNC = 1 << 7;

/** In characters. */
const LONGEST_EXPLANATION = 4_000;
const LONGEST_NAME = 255;

const NEVER_SETTLED =
  'the code waits for a promise that nothing settles: there are no timers, no network and no other events to wait for';
const UNSHOWN = 'the code failed, and what it has thrown cannot be shown';
const BROKEN = 'the code broke off the interpreter: it recurses too deeply, or needs more memory than there is';

/** Called now and then while code runs; true stops it. */
class Clock {
  #endsAt = Number.POSITIVE_INFINITY;
  isLate = false;

  allow(ms: number): void {
    this.#endsAt = performance.now() + ms;
    this.isLate = false;
  }

  check(): boolean {
    this.isLate ||= performance.now() >= this.#endsAt;
    return this.isLate;
  }
}

/**
 * Evaluates code in an instance of QuickJS of its own.
 * @param begun called when the instance is there; what the code breaks after it is its error
 */
export async function evaluate(order: Order, begun: () => void): Promise<Reply> {
  const clock = new Clock();
  const context = await contextOf(order, clock);
  begun();
  try {
    return run(context, order, clock);
  } catch (error) {
    // Nothing in the instance can be relied on.
    if (isOfCode(error)) return { stdout: '', files: [], error: BROKEN };
    throw error;
  }
}

/** A trap of WebAssembly, no stack left for it, or values that its interface finds broken. */
const isOfCode = (error: unknown): boolean =>
  error instanceof RangeError ||
  (error instanceof Error && (error.name === 'RuntimeError' || error.name.startsWith('QuickJS')));

async function contextOf({ engine, limits }: Order, clock: Clock): Promise<QuickJSContext> {
  const { memoryBytes } = limits;
  const pages = Math.ceil((memoryBytes * BESIDE.perByte + BESIDE.bytes) / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: Math.min(pages, MOST_PAGES) });
  const silent = { print: () => undefined, printErr: () => undefined };
  const variant = newVariant(VARIANT, {
    wasmModule: engine as never,
    wasmMemory: memory as never,
    emscriptenModule: silent as never,
  });
  const runtime = (await newQuickJSWASMModuleFromVariant(variant)).newRuntime();
  runtime.setMemoryLimit(memoryBytes);
  runtime.setMaxStackSize(STACK_BYTES);
  runtime.setInterruptHandler(() => clock.check());
  return runtime.newContext();
}

function run(context: QuickJSContext, { code, files, limits }: Order, clock: Clock): Reply {
  const { timeMs, memoryBytes, outputCharacters, fileBytes } = limits;
  clock.allow(timeMs);
  const guest = Guest.in(context, [outputCharacters, fileBytes, MOST_FILES]);
  const spare = guest?.reserve(SPARE_BYTES);
  // The prelude, the files and the code take more memory than there is.
  if (!guest || !spare || !files.every((file) => guest.give(file)) || !guest.hasRoom(code.length * UTF8_BYTES)) {
    return { stdout: '', files: [], error: tooMuchMemory(memoryBytes) };
  }
  const ended = settled(context, code, clock);
  const shown = 'value' in ended ? resultOf(guest, ended.value, outputCharacters) : ended;
  const isLate = clock.check();
  clock.allow(READ_MS);
  spare.dispose();
  // One character more than the most says that there was more.
  const stdout = guest.text('printed', outputCharacters + 1) ?? '';
  const made = filesOf(guest, fileBytes);
  const given = { stdout, files: made.files };
  if (isLate) return { ...given, error: tooLate(timeMs) };
  if ('problem' in shown) return { ...given, error: shown.problem };
  if ('error' in shown) return { ...given, error: explained(guest, shown.error, memoryBytes) };
  const { json } = shown;
  return { ...given, ...(json !== undefined && { json }), ...(made.lost && { error: tooManyBytes(fileBytes) }) };
}

const tooManyBytes = (most: number): string => `not all files are kept: they have more than ${most} bytes`;

interface Failed {
  /** What the code has thrown. */
  readonly error: QuickJSHandle;
}
interface Problem {
  readonly problem: string;
}

/** The code's value once all promises that can settle have. */
function settled(
  context: QuickJSContext,
  code: string,
  clock: Clock,
): { readonly value: QuickJSHandle } | Failed | Problem {
  const evaluated = context.evalCode(code, 'code.js', EVAL_ASYNC);
  if (evaluated.error) return { error: evaluated.error };
  while (!clock.check() && context.runtime.hasPendingJob()) {
    const jobs = context.runtime.executePendingJobs(JOBS_AT_ONCE);
    if (jobs.error) return { error: jobs.error };
  }
  const state = context.getPromiseState(evaluated.value);
  if (state.type === 'pending') return { problem: NEVER_SETTLED };
  if (state.type === 'rejected') return { error: state.error };
  return { value: state.notAPromise ? state.value : context.getProp(state.value, 'value') };
}

/** The code's value as JSON; undefined where it has none. */
function resultOf(
  guest: Guest,
  value: QuickJSHandle,
  most: number,
): { readonly json: string | undefined } | Failed | Problem {
  const json = guest.call('json', value);
  if (json.error) return { error: json.error };
  if (!guest.isText(json.value)) return { json: undefined };
  const text = guest.textOf(json.value, most);
  return text === undefined ? { problem: tooMuchOutput('the result', most) } : { json: text };
}

function explained(guest: Guest, error: QuickJSHandle, memoryBytes: number): string {
  const text = guest.text('explain', LONGEST_EXPLANATION, error);
  if (text === undefined) return UNSHOWN;
  // Without memory for an error QuickJS throws null.
  return text.includes('out of memory') || text === 'thrown: null' ? `${tooMuchMemory(memoryBytes)} (${text})` : text;
}

/** What the code has made, as far as the host's own bounds go. `lost`: there was more. */
function filesOf(guest: Guest, mostBytes: number): { readonly files: readonly SandboxFile[]; readonly lost: boolean } {
  const files: SandboxFile[] = [];
  let left = mostBytes;
  const count = guest.number('files') ?? 0;
  for (let i = 0; i < Math.min(count, MOST_FILES); i++) {
    const name = guest.textAt('fileName', i, LONGEST_NAME);
    const bytes = guest.bytesAt('fileContent', i, left);
    if (name === undefined || bytes === undefined) continue;
    left -= bytes.length;
    files.push({ name, bytes });
  }
  return { files, lost: files.length < count };
}
