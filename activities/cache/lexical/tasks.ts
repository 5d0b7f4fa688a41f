/**
 * Verbs of tasks. `How do I`, `how can I` and `how to` ask for the same before them, since they name what one does on purpose. Before
 * other verbs `how do I` may ask how one is or what happens to one (`how do I look`, `how do I absorb vitamin D`), and `how can I` may
 * doubt or offer (`how can I refuse`, `how can I help`).
 */
export const TASKS = `
access activate add adjust allow apply approve archive arrange assemble assign attach automate avoid back bake balance block blend boil book
bookmark borrow braid brew browse brush build buy bypass calculate calibrate call cancel capture care carve cast catch center centre change
charge chat check choose chop claim clean clear climb clip clone close collect combine comment compare compile compress configure confirm
connect contact convert cook cool copy correct cover create crochet crop customise customize cut deactivate deal debug decline decode decorate
decrease decrypt defrost delete deploy deposit descale design detect develop dice dig disable disassemble disconnect dispose divide download
draft drain draw drop dry duplicate dye earn edit embed enable encrypt end enlarge enrol enroll enter erase escape estimate exchange exclude
execute exit expand export extend extract fertilise fertilize file fill filter find finish fix flip fold follow format forward freeze fry gain
generate get give go grate grill group grow handle hang hem hide highlight hire hold host identify implement import improve include increase indent
insert inspect install insulate integrate invest invite iron join keep kill knead knit learn leave lift limit link list load locate lock log
loosen lose lower make manage marinate mark measure melt merge migrate minimise minimize modify monitor mount move mow multiply mute name
negotiate open operate optimise optimize order organise organize overcome overwrite pack paint pair park parse patch pause pay peel persuade
pin plan plant play poach polish post pot pour practice practise preheat prepare preserve press prevent print process program promote protect
prove prune publish pull pump push put raise reactivate read rebook reboot rebuild recharge reclaim recognise recognize record recover
recycle redeem redirect redo reduce refill reformat refresh refund register reheat reinstall reject release relieve reload remove rename renew
rent reopen repair repay replace reply report repot request reschedule reseed reset resign resize resolve restart restore retrieve return
reverse revert revoke ride rinse roast roll rotate run save scan schedule seal search season secure select sell send separate serve set settle
sew share sharpen shorten show shrink sign skip slice slow soak solve sort split stack start steam stop store strengthen stretch strip submit
subscribe subtract sue swap switch synchronise synchronize sync tag take taper teach test thaw thicken thread throw tie tighten tile top trace
track train transfer translate transplant transpose trap travel treat trim turn type unblock unclog undo unfollow unfreeze uninstall unlink
unlock unmute unpack unpair unsubscribe unzip update upgrade upload use vacuum validate verify view visit wash watch water waterproof wax
weed whisk whiten widen win wipe withdraw wrap zip zoom
abort accept accumulate acquire advertise aerate afford age-proof air amend analyse analyze annotate apologise apologize appeal append ask
assess audit authenticate authorise authorize backdate bathe batch beat become begin bleach boost breed budget bulk-edit bury calm celebrate
challenge cite code commit complain compost concatenate contest crack crush cure declutter dehydrate deliver demonstrate disinfect display
distinguish donate drill drive eject eliminate encourage evaluate exercise fight fire foster fundraise graft groom harvest import-export
inform inline inject invoice iterate juggle launch lay lease light lodge lubricate maintain map meet memorise memorize mend minify mix mock
mop motivate nominate notify obtain paste pickle pitch plot plumb populate prepay price profile prompt propagate provision query quit quote
reach rebase reconnect refinance reframe reindex reintroduce remind reorder reorganise reorganize rephrase rework rewrite sand schedule-send
seed ship silence simplify simulate smoke snooze solder squash stake sterilise sterilize stitch study style supply suspend sweep tame test-drive
tidy tow trade tune unarchive unban unhide unjam unstick unsend upcycle vectorise vectorize video warm weld winterise winterize write`;

/** These name a task without an object too: `how do I register`. */
export const WHOLE_TASKS =
  'apply register cancel pay order subscribe unsubscribe enrol enroll upgrade downgrade resign log sign check get go start apologise apologize complain appeal';
