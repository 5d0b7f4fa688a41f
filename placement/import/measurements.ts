import type { ProfileFile } from '../profiles/index.js';
import type { TableRow } from './table.js';
import { wrong } from './wrong.js';

export interface ProfileImport {
  /** Device kinds of the inventory, by the source's names. */
  readonly kinds: Readonly<Record<string, string>>;
  /** Model and device kind of sources that name none. */
  readonly model?: string | undefined;
  readonly deviceKind?: string | undefined;
  /** As an author writes it, e.g. `26GiB`, by model. */
  readonly memory: Readonly<Record<string, string>>;
  readonly perToken: Readonly<Record<string, string>>;
}

/** Profiles of the measurements in a file. Throws `INVALID_PROFILE` with the line. */
export type ProfileReader = (lines: readonly string[], file: string, options: ProfileImport) => ProfileFile[];

/** Percentiles of a measured time, in milliseconds. */
export interface Times {
  readonly p50Ms: number;
  readonly p95Ms?: number;
  readonly p99Ms?: number;
  readonly meanMs?: number;
}

/** The same times, of which none is below the one before, whatever the source rounded. */
export function rising({ p50Ms, p95Ms, p99Ms, meanMs }: Times): Times {
  const p95 = p95Ms === undefined ? undefined : Math.max(p50Ms, p95Ms);
  const p99 = p99Ms === undefined ? undefined : Math.max(p95 ?? p50Ms, p99Ms);
  return {
    p50Ms,
    ...(p95 !== undefined && { p95Ms: p95 }),
    ...(p99 !== undefined && { p99Ms: p99 }),
    ...(meanMs !== undefined && { meanMs }),
  };
}

/** The number of a row in the first of these columns that there is. Throws `INVALID_PROFILE` if it is not above 0. */
export function positive({ at, cells }: TableRow, ...columns: readonly string[]): number {
  const column = columns.find((each) => cells[each] !== undefined);
  if (column === undefined) throw wrong(at, `there is no column ${columns.join(' or ')}: add it`, 'INVALID_PROFILE');
  const cell = cells[column] ?? '';
  const value = cell === '' ? Number.NaN : Number(cell);
  if (Number.isFinite(value) && value > 0) return value;
  throw wrong(at, `${column}: "${cell}" is not a number above 0: correct or remove the line`, 'INVALID_PROFILE');
}

/** The model that a row names, or else the option. Throws `INVALID_PROFILE` without either. */
export function modelOf(at: string, named: string | undefined, { model }: ProfileImport): string {
  const found = named || model;
  if (found) return found;
  throw wrong(at, 'it names no model: pass --model', 'INVALID_PROFILE');
}

/** The device that a row names, or else the option. Throws `INVALID_PROFILE` without either. */
export function deviceOf(named: string | undefined, { deviceKind }: ProfileImport): string {
  const found = named || deviceKind;
  if (found) return found;
  throw wrong('--device-kind', 'the source names no device: give its kind', 'INVALID_PROFILE');
}

/** A time of a row in a column that need not be there. */
export const optional = <K extends keyof Times>(name: K, cell: string | undefined) =>
  cell !== undefined && Number(cell) > 0 ? ({ [name]: Number(cell) } as Record<K, number>) : {};
