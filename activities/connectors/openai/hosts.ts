/** Hosts of OpenAI's API at OpenAI, whose regions are below it (`eu.api.openai.com`). */
const OPENAI = 'api.openai.com';
/** Ends of all hosts at Azure: of the public cloud, and of the one of the US government. */
const OF_AZURE: readonly string[] = ['.azure.com', '.azure.us'];
/** Ends of those that serve only OpenAI's models. Others at Azure serve models of many makers. */
const OF_OPENAI = [`.${OPENAI}`, ...OF_AZURE.map((end) => `.openai${end}`)];

interface At {
  readonly baseURL: string;
}

const endsIn = ({ baseURL }: At, ends: readonly string[]): boolean => {
  const { hostname } = new URL(baseURL);
  return ends.some((end) => hostname.endsWith(end));
};

/** Whether a server is at Azure, whatever it serves. */
export const isAtAzure = (server: At): boolean => endsIn(server, OF_AZURE);

/** Whether a server has only OpenAI's models, at OpenAI or at Azure. */
export const isOpenAi = (server: At): boolean =>
  new URL(server.baseURL).hostname === OPENAI || endsIn(server, OF_OPENAI);
