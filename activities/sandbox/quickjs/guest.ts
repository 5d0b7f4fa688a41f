import type { QuickJSContext, QuickJSHandle } from 'quickjs-emscripten-core';
import type { SandboxFile } from '../sandbox.js';
import { PRELUDE } from './prelude.js';

/** In UTF-8, and as a string of QuickJS, whose characters have two bytes. */
const COPIES_OF_TEXT = 3;
/** Of a value that is given, beside its content. */
const BESIDE_BYTES = 4_096;

type Called = ReturnType<QuickJSContext['callFunction']>;

/**
 * The prelude's functions in a context. The code may have changed what they use, so that their results prove nothing: lengths are
 * read from the values themselves, before anything is copied out.
 */
export class Guest {
  readonly #context: QuickJSContext;
  readonly #functions: QuickJSHandle;

  private constructor(context: QuickJSContext, functions: QuickJSHandle) {
    this.#context = context;
    this.#functions = functions;
  }

  /** Evaluates the prelude. Undefined if there is no memory for it. */
  static in(context: QuickJSContext, settings: readonly number[]): Guest | undefined {
    const prelude = context.evalCode(PRELUDE, 'prelude.js', 0);
    if (prelude.error) return undefined;
    const given = settings.map((each) => context.newNumber(each));
    const functions = context.callFunction(prelude.value, context.undefined, ...given);
    return functions.error ? undefined : new Guest(context, functions.value);
  }

  /** Memory that is free again once the handle is disposed. Undefined if there is none. */
  reserve(bytes: number): QuickJSHandle | undefined {
    const reserved = this.call('reserve', this.#context.newNumber(bytes));
    return reserved.error ? undefined : reserved.value;
  }

  /** The library copies values in without a look at whether there was memory for them: this is asked before. */
  hasRoom(bytes: number): boolean {
    const room = this.reserve(bytes);
    room?.dispose();
    return room !== undefined;
  }

  /** Gives a file to the code: text as a string, anything else as bytes. False if there is no memory for it. */
  give({ name, bytes }: SandboxFile): boolean {
    const context = this.#context;
    const text = textIn(bytes);
    const copies = text === undefined ? 1 : COPIES_OF_TEXT;
    if (!this.hasRoom(bytes.length * copies + name.length * COPIES_OF_TEXT + BESIDE_BYTES)) return false;
    const content = text === undefined ? context.newArrayBuffer(new Uint8Array(bytes).buffer) : context.newString(text);
    return !this.call('give', context.newString(name), content).error;
  }

  call(name: string, ...given: QuickJSHandle[]): Called {
    const context = this.#context;
    return context.callFunction(context.getProp(this.#functions, name), context.undefined, ...given);
  }

  isText(value: QuickJSHandle): boolean {
    return this.#context.typeof(value) === 'string';
  }

  /** A text of at most so many UTF-16 units. The length of a string is its own: nothing of the code's can change it. */
  textOf(value: QuickJSHandle, most: number): string | undefined {
    if (!this.isText(value)) return undefined;
    const length = this.#context.getNumber(this.#context.getProp(value, 'length'));
    return length <= most ? this.#context.getString(value) : undefined;
  }

  /** A text that a function returns. */
  text(name: string, most: number, ...given: QuickJSHandle[]): string | undefined {
    const returned = this.call(name, ...given);
    return returned.error ? undefined : this.textOf(returned.value, most);
  }

  number(name: string): number | undefined {
    const returned = this.call(name);
    if (returned.error || this.#context.typeof(returned.value) !== 'number') return undefined;
    const value = this.#context.getNumber(returned.value);
    return Number.isInteger(value) ? value : undefined;
  }

  textAt(name: string, i: number, most: number): string | undefined {
    return this.text(name, most, this.#context.newNumber(i));
  }

  /** The bytes of a text or an `ArrayBuffer` that a function returns, at most so many. */
  bytesAt(name: string, i: number, most: number): Uint8Array | undefined {
    const returned = this.call(name, this.#context.newNumber(i));
    if (returned.error) return undefined;
    if (!this.isText(returned.value)) return this.#bytesOf(returned.value, most);
    const text = this.textOf(returned.value, most);
    const bytes = text === undefined ? undefined : Buffer.from(text);
    return bytes !== undefined && bytes.length <= most ? bytes : undefined;
  }

  #bytesOf(value: QuickJSHandle, most: number): Uint8Array | undefined {
    if (this.#context.typeof(value) !== 'object') return undefined;
    try {
      const { value: view } = this.#context.getArrayBuffer(value);
      return view.length <= most ? view.slice() : undefined;
    } catch {
      // It is none, or there is no memory for the copy that this makes.
      return undefined;
    }
  }
}

/** Undefined for bytes that are not UTF-8, and for text that C takes for shorter than it is. */
function textIn(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
