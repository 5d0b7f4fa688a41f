import { MillraceError } from '../../pipelines/errors.js';

/** Rows of a comma-separated file by the names of its first line; quoted cells may contain commas. */
export function rowsOf(text: string, file: string): readonly Readonly<Record<string, string>>[] {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const names = cellsOf(lines[0] ?? '');
  return lines.slice(1).map((line, i) => {
    const cells = cellsOf(line);
    if (cells.length !== names.length) {
      throw wrong(`${file}:${i + 2}`, `it has ${cells.length} columns, not ${names.length}: correct or remove it`);
    }
    return Object.fromEntries(names.map((name, c) => [name, cells[c] ?? '']));
  });
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

/** The objects of a file of JSON lines, or of one JSON list. */
export function objectsOf(text: string, file: string): readonly Readonly<Record<string, unknown>>[] {
  const parse = (part: string, where: string): unknown => {
    try {
      return JSON.parse(part);
    } catch {
      throw wrong(where, 'it is not JSON');
    }
  };
  const whole = text.trimStart();
  const all = whole.startsWith('[')
    ? parse(text, file)
    : text.split(/\r?\n/).flatMap((line, i) => (line.trim() === '' ? [] : [parse(line, `${file}:${i + 1}`)]));
  if (!Array.isArray(all)) throw wrong(file, 'it is not a list of JSON objects');
  return all.map((each: unknown, i) => {
    if (typeof each !== 'object' || each === null) throw wrong(`${file}, entry ${i + 1}`, 'it is not a JSON object');
    return each as Record<string, unknown>;
  });
}

export const wrong = (field: string, message: string, code: 'INVALID_TRACE' | 'INVALID_PROFILE' = 'INVALID_TRACE') =>
  new MillraceError(code, `${field}: ${message}`, { fields: [{ field, message }] });
