import { isData } from '../trace/index.js';
import { numbered } from './lines.js';
import { type ImportCode, wrong } from './wrong.js';

/** A row of a comma-separated file. */
export interface TableRow {
  /** Its line as errors name it: `trace.csv:7`. */
  readonly at: string;
  /** The number of its line in the file, from 1. */
  readonly line: number;
  /** By the names of the first line. */
  readonly cells: Readonly<Record<string, string>>;
}

/**
 * Rows of a comma-separated file by the names of its first line; quoted cells may contain commas. Empty lines and lines that begin
 * with `#` are skipped. Throws `code` for a line that has not as many cells as there are names.
 */
export function* rowsOf(lines: Iterable<string>, file: string, code: ImportCode): Iterable<TableRow> {
  let names: readonly string[] | undefined;
  for (const [line, text] of numbered(lines)) {
    if (!isData(text)) continue;
    const cells = cellsOf(text);
    if (names === undefined) {
      names = cells;
      continue;
    }
    const at = `${file}:${line}`;
    if (cells.length !== names.length) {
      throw wrong(at, `it has ${cells.length} columns, not ${names.length}: correct or remove it`, code);
    }
    yield { at, line, cells: Object.fromEntries(names.map((name, c) => [name, cells[c] ?? ''])) };
  }
}

const CELL = /\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/y;

function cellsOf(line: string): readonly string[] {
  const cells: string[] = [];
  CELL.lastIndex = 0;
  while (CELL.lastIndex <= line.length) {
    const at = CELL.lastIndex;
    const found = CELL.exec(line);
    if (!found) break;
    cells.push((found[1]?.replaceAll('""', '"') ?? found[2] ?? '').trim());
    if (CELL.lastIndex === at || (CELL.lastIndex === line.length && line[line.length - 1] !== ',')) break;
  }
  return cells;
}
