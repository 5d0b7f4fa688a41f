import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** The served files, by name below `/explorer/`. */
const FILES = {
  'index.html': 'text/html; charset=utf-8',
  'explorer.css': 'text/css; charset=utf-8',
  'explorer.js': 'text/javascript; charset=utf-8',
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
} as const;
export type PageFileName = keyof typeof FILES;

export interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
  /** Entity tag, of the content. */
  readonly etag: string;
}

export const isPageFile = (name: string): name is PageFileName => Object.hasOwn(FILES, name);

/** The page's files, read and compressed on first use. */
export class PageFiles {
  readonly #read = new Map<PageFileName, Promise<PageFile>>();

  of(name: PageFileName): Promise<PageFile> {
    const known = this.#read.get(name);
    if (known !== undefined) return known;
    const file = read(name);
    this.#read.set(name, file);
    file.catch(() => this.#read.delete(name)); // retried by the next request
    return file;
  }
}

async function read(name: PageFileName): Promise<PageFile> {
  const bytes = await readFile(placeOf(name));
  const gzipped = await promisify(gzip)(bytes);
  const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
  return { type: FILES[name], bytes, gzipped, etag };
}

/** The build copies the files of Swagger UI beside those of the page; without a build they are in node_modules. */
function placeOf(name: PageFileName): string {
  const built = fileURLToPath(new URL(`./page/${name}`, import.meta.url));
  return existsSync(built) ? built : createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`);
}
