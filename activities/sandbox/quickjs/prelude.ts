/**
 * What the code of a call finds in its context besides the language: `console`, `readFile` and `writeFile`. Evaluated in QuickJS
 * before the code, which may change any of it; the host checks what it reads, and nothing here is a function of the host. Its value
 * is a function that the host calls once: it returns the functions by which the host gives and reads.
 */
export const PRELUDE = String.raw`
(mostCharacters, mostFileBytes, mostFiles) => {
  'use strict';
  const inputs = new Map();
  const outputs = new Map();
  let printed = '';
  let isCut = false;

  const json = (value) =>
    JSON.stringify(value, (_, each) => {
      if (typeof each === 'bigint') return String(each);
      return each instanceof Map || each instanceof Set ? Array.from(each) : each;
    });
  const shown = (value) => {
    if (typeof value === 'string') return value;
    if (value instanceof Error) return String(value);
    try {
      return json(value) ?? String(value);
    } catch {
      return String(value);
    }
  };
  const print = (...values) => {
    if (isCut) return;
    printed += values.map(shown).join(' ') + '\n';
    isCut = printed.length > mostCharacters;
    // One more than the most: whoever reads it sees that there was more.
    if (isCut) printed = printed.slice(0, mostCharacters + 1);
  };
  globalThis.console = { log: print, info: print, warn: print, error: print, debug: print };

  const names = () => [...inputs.keys(), ...outputs.keys()].join(', ') || 'none';
  globalThis.readFile = (name) => {
    for (const files of [outputs, inputs]) {
      const content = files.get(String(name));
      if (content !== undefined) return typeof content === 'string' ? content : new Uint8Array(content.slice(0));
    }
    throw new Error('there is no file "' + name + '" (files: ' + names() + ')');
  };
  const sizeOf = (content) => (typeof content === 'string' ? content.length : content.byteLength);
  globalThis.writeFile = (name, content) => {
    if (typeof name !== 'string' || name === '') throw new TypeError('writeFile needs a name');
    let own = content;
    if (ArrayBuffer.isView(content)) {
      own = content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength);
    } else if (content instanceof ArrayBuffer) {
      own = content.slice(0);
    } else if (typeof content !== 'string') {
      throw new TypeError('writeFile takes a string or a Uint8Array');
    } else if (content.includes('\0')) {
      throw new TypeError('a text has no NUL characters: write a Uint8Array');
    }
    if (own.length === 0 || own.byteLength === 0) own = '';
    if (mostFileBytes === 0) throw new Error('files are not kept here: print or return what is needed');
    let bytes = sizeOf(own);
    for (const [other, given] of outputs) if (other !== name) bytes += sizeOf(given);
    if (bytes > mostFileBytes) throw new Error('the files have more than ' + mostFileBytes + ' bytes');
    if (!outputs.has(name) && outputs.size >= mostFiles) throw new Error('there are more than ' + mostFiles + ' files');
    outputs.set(name, own);
  };

  return {
    reserve: (bytes) => new ArrayBuffer(bytes),
    give: (name, content) => void inputs.set(name, content),
    printed: () => printed.replaceAll('\0', '\uFFFD'),
    json,
    files: () => outputs.size,
    fileName: (i) => [...outputs.keys()][i],
    fileContent: (i) => [...outputs.values()][i],
    explain: (error) => {
      const text = error instanceof Error ? String(error) : 'thrown: ' + shown(error);
      const stack = error instanceof Error && typeof error.stack === 'string' ? error.stack : '';
      const own = stack.split('\n').filter((line) => line.includes('code.js'));
      return [text.slice(0, 2000), ...own.slice(0, 5)].join('\n').slice(0, 3000).replaceAll('\0', '\uFFFD');
    },
  };
}
`;
