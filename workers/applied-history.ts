import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { MillraceError } from '../pipelines/errors.js';
import { type PlacementDocument, readPlacement } from '../placement/document/index.js';

/** Names of what has been applied: `0003-039c5167e74c.json`, in order. */
const ENTRY = /^(\d{4,})-[0-9a-f]{12}\.json$/;

/**
 * The placements that were applied, the latest last, each in a file of its own beside the one that gateways watch. The file
 * is replaced whole: who reads it sees one placement or the other.
 */
export class AppliedHistory {
  readonly #file: string;
  readonly #folder: string;

  /** @param file what `MILLRACE_PLACEMENT` names */
  constructor(file: string) {
    this.#file = path.resolve(file);
    this.#folder = `${this.#file}.applied`;
  }

  /** The placement that new runs go by now; undefined where there is none. Throws `INVALID_PLACEMENT`. */
  current(): PlacementDocument | undefined {
    try {
      return readPlacement(readFileSync(this.#file, 'utf8'), this.#file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Makes it the placement of new runs. One that is it already is not written again. */
  apply(placement: PlacementDocument): { readonly changed: boolean } {
    mkdirSync(this.#folder, { recursive: true });
    const before = this.current();
    if (before?.version === placement.version) return { changed: false };
    // A placement that was put there by hand can be gone back to as well.
    if (before !== undefined && this.#entries().length === 0) this.#keep(before);
    this.#keep(placement);
    this.#write(placement);
    return { changed: true };
  }

  /** Goes back to the placement applied before the current one; again, further back. Throws `INVALID_PLACEMENT`. */
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
    this.#write(to);
    rmSync(path.join(this.#folder, last));
    return { from, to };
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
    writeFileSync(path.join(this.#folder, name), textOf(placement));
  }

  #read(name: string): PlacementDocument {
    const file = path.join(this.#folder, name);
    return readPlacement(readFileSync(file, 'utf8'), file);
  }

  #write(placement: PlacementDocument): void {
    const fresh = `${this.#file}.new`;
    writeFileSync(fresh, textOf(placement));
    renameSync(fresh, this.#file);
  }
}

const textOf = (placement: PlacementDocument): string => `${JSON.stringify(placement, null, 2)}\n`;
