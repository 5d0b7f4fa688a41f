import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MillraceError } from '../pipelines/errors.js';
import { type PlacementDocument, readPlacement } from '../placement/document/index.js';

/** Names of applied placements in order: `0003-039c5167e74c.json`. */
const ENTRY = /^(\d{4,})-[0-9a-f]{12}\.json$/;

/**
 * The history of applied placements, latest last, each in a file of its own beside the file that gateways watch. That
 * file is replaced atomically: a reader sees either the old or the new placement.
 */
export class AppliedHistory {
  readonly #file: string;
  readonly #folder: string;

  /** @param file the file of `MILLRACE_PLACEMENT` */
  constructor(file: string) {
    this.#file = path.resolve(file);
    this.#folder = `${this.#file}.applied`;
  }

  /** The placement that new runs use; undefined if there is none. Throws `INVALID_PLACEMENT`. */
  current(): PlacementDocument | undefined {
    try {
      return readPlacement(readFileSync(this.#file, 'utf8'), this.#file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Makes a placement the one that new runs use. The current one is not written again. */
  apply(placement: PlacementDocument): { readonly changed: boolean } {
    mkdirSync(this.#folder, { recursive: true });
    const before = this.current();
    if (before?.version === placement.version) return { changed: false };
    // A placement that was put there by hand can be rolled back to as well.
    if (before !== undefined && !isOf(this.#entries().at(-1), before.version)) this.#keep(before);
    this.#keep(placement);
    this.#write(placement);
    return { changed: true };
  }

  /** Goes back to a placement: if it was applied before the current one, as a rollback does; else it is applied again. */
  restore(placement: PlacementDocument): void {
    const [last, before] = this.#entries().reverse();
    if (last !== undefined && isOf(before, placement.version)) this.#goBack(placement, last);
    else this.apply(placement);
  }

  /** Restores the placement applied before the current one; repeated calls go further back. Throws `INVALID_PLACEMENT`. */
  rollback(): { readonly from: PlacementDocument | undefined; readonly to: PlacementDocument } {
    const [last, before] = this.#entries().reverse();
    if (last === undefined || before === undefined) {
      const message = 'no placement was applied before the current one';
      throw new MillraceError('INVALID_PLACEMENT', `${this.#file}: ${message}`, {
        fields: [{ field: this.#file, message }],
      });
    }
    const from = this.current();
    const to = this.#read(before);
    this.#goBack(to, last);
    return { from, to };
  }

  /** @param last the entry of the placement that is left */
  #goBack(to: PlacementDocument, last: string): void {
    this.#write(to);
    rmSync(path.join(this.#folder, last));
  }

  #entries(): string[] {
    try {
      return readdirSync(this.#folder)
        .filter((name) => ENTRY.test(name))
        .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  #keep(placement: PlacementDocument): void {
    const number = Number.parseInt(this.#entries().at(-1) ?? '0', 10) + 1;
    const name = `${String(number).padStart(4, '0')}-${placement.version}.json`;
    replace(path.join(this.#folder, name), placement);
  }

  #read(name: string): PlacementDocument {
    const file = path.join(this.#folder, name);
    return readPlacement(readFileSync(file, 'utf8'), file);
  }

  #write(placement: PlacementDocument): void {
    replace(this.#file, placement);
  }
}

const isOf = (name: string | undefined, version: string): boolean => name?.endsWith(`-${version}.json`) ?? false;

/**
 * Writes beside the file, to the disk, and renames: a reader or a loss of power finds the one or the other. The draft is its own: in two
 * containers that share the folder, both processes may have the number 1.
 */
function replace(file: string, placement: PlacementDocument): void {
  const draft = `${file}.${randomUUID()}.new`;
  try {
    writeFileSync(draft, textOf(placement), { flush: true });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

const textOf = (placement: PlacementDocument): string => `${JSON.stringify(placement, null, 2)}\n`;
