/** What a stand-in for Redis needs to answer scripts. */
export const scripted = (evaluate: (lua: string) => Promise<unknown>) => ({
  defineCommand(this: Record<string, unknown>, name: string, { lua }: { readonly lua: string }) {
    this[name] = () => evaluate(lua);
  },
});
