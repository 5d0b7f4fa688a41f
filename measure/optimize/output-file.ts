/** A file to be written: a text, or a copy of another file or folder. */
export type OutputFile =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly copyOf: string };
