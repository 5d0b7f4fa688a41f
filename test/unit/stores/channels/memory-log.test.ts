import { type ChannelLog, MemoryChannelLog } from '../../../../stores/channels/index.js';
import { channelContract } from '../../../contract/channel-suite.js';

channelContract('memory', () => {
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
});
