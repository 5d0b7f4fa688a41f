import { type ChannelLog, MemoryChannelLog } from '../../../../stores/channels/index.js';
import type { ChannelStore } from '../../../contract/channel-fixtures.js';
import { channelContract } from '../../../contract/channel-suite.js';
import { partialWriterContract } from '../../../contract/partial-writer-suite.js';

function memory(): ChannelStore {
  let made: MemoryChannelLog | undefined;
  return {
    log(mostBytes): ChannelLog {
      made = new MemoryChannelLog(mostBytes === undefined ? {} : { mostBytes });
      return made;
    },
    async lose(name, kept) {
      await made?.lose(name, kept);
    },
  };
}

channelContract('memory', memory);
partialWriterContract('memory', memory);
