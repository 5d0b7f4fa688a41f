import { type Token, tokenOf, wordAt } from './tokens.js';
import { PREPOSITIONS } from './words.js';

/** What is switched on and off. One also turns on a spot, and off a road. */
const DEVICES = new Set(
  `light lights lamp lamps tv television radio heating heater fan phone computer laptop pc tablet bluetooth wifi wi-fi notifications notification
   alarm alarms oven stove hob music camera microphone location subtitles captions mode data autocorrect autoplay sound speaker speakers vibration
   flashlight torch printer router engine ignition boiler hotspot vpn kettle monitor screen power updates sync tracking cookies water gas
   electricity dishwasher washer dryer computers phones printers`.split(/\s+/),
);
const PRONOUNS = new Set(['it', 'them', 'this', 'that', 'these', 'those']);

/** `Turn the fan on`, `switch on the fan` and `how to switch the fan on`, as `turn on the fan`. `Turn it on` and `turn on it` differ. */
export function usualSwitch(tokens: readonly Token[]): readonly Token[] {
  const from = wordAt(tokens, 0) === 'how' && wordAt(tokens, 1) === 'to' ? 2 : 0;
  const [verb, ...rest] = tokens.slice(from);
  if (verb === undefined || (verb.word !== 'turn' && verb.word !== 'switch')) return tokens;
  const turn = [...tokens.slice(0, from), tokenOf('turn', from === 0)];
  const [first, last] = [rest[0], rest.at(-1)];
  if (first !== undefined && isSide(first) && isDevice(rest.slice(1))) return [...turn, ...rest];
  if (last === undefined || !isSide(last)) return tokens;
  const thing = rest.slice(0, -1);
  if (thing.length === 1 && PRONOUNS.has(wordAt(thing, 0))) return [...turn, ...rest];
  return isDevice(thing) ? [...turn, last, ...thing] : tokens;
}

const isSide = ({ word }: Token): boolean => word === 'on' || word === 'off';
const isDevice = (thing: readonly Token[]): boolean =>
  thing.length > 0 &&
  DEVICES.has(wordAt(thing, -1)) &&
  !thing.some(({ word }) => PREPOSITIONS.has(word) || word === ',');
