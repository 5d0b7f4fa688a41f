/** The statuses that a gateway’s own document lists for a POST path. */
export async function documented(base: string, path: string): Promise<ReadonlySet<number>> {
  const document = (await (await fetch(`${base}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, { readonly post?: { readonly responses: object } }>>;
  };
  const responses = document.paths[path]?.post?.responses;
  if (responses === undefined) throw new Error(`the document has no POST ${path}`);
  return new Set(Object.keys(responses).map(Number));
}
