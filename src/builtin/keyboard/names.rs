//! Owns the names of keys and buttons with their numbers, as `<linux/input-event-codes.h>` of Linux 6.1 has them: keys without
//! `KEY_`, buttons with `BTN_`, in small letters. Facts of the kernel's interface, ordered by name.

/// Words of name and number.
const TABLE: &str = "\
0 11  1 2  102nd 86  10channelsdown 441  10channelsup 440  2 3  3 4  3d_mode 623  4 5  5 6  6 7  7 8  8 9  9 10
a 30  ab 406  addressbook 429  again 129  all_applications 204  als_toggle 560  alterase 222  angle 371
apostrophe 40  appselect 580  archive 361  aspect_ratio 375  assistant 583  attendant_off 540  attendant_on 539
attendant_toggle 541  audio 392  audio_desc 622  autopilot_engage_toggle 637  aux 390  b 48  back 158
backslash 43  backspace 14  bassboost 209  battery 236  blue 401  bluetooth 237  bookmarks 156  break 411
brightness_auto 244  brightness_cycle 243  brightness_max 593  brightness_menu 649  brightness_min 592
brightness_toggle 431  brightness_zero 244  brightnessdown 224  brightnessup 225  brl_dot1 497  brl_dot10 506
brl_dot2 498  brl_dot3 499  brl_dot4 500  brl_dot5 501  brl_dot6 502  brl_dot7 503  brl_dot8 504  brl_dot9 505
btn_0 256  btn_1 257  btn_2 258  btn_3 259  btn_4 260  btn_5 261  btn_6 262  btn_7 263  btn_8 264  btn_9 265
btn_a 304  btn_b 305  btn_back 278  btn_base 294  btn_base2 295  btn_base3 296  btn_base4 297  btn_base5 298
btn_base6 299  btn_c 306  btn_dead 303  btn_digi 320  btn_dpad_down 545  btn_dpad_left 546  btn_dpad_right 547
btn_dpad_up 544  btn_east 305  btn_extra 276  btn_forward 277  btn_gamepad 304  btn_gear_down 336
btn_gear_up 337  btn_joystick 288  btn_left 272  btn_middle 274  btn_misc 256  btn_mode 316  btn_mouse 272
btn_north 307  btn_pinkie 293  btn_right 273  btn_select 314  btn_side 275  btn_south 304  btn_start 315
btn_stylus 331  btn_stylus2 332  btn_stylus3 329  btn_task 279  btn_thumb 289  btn_thumb2 290  btn_thumbl 317
btn_thumbr 318  btn_tl 310  btn_tl2 312  btn_tool_airbrush 324  btn_tool_brush 322  btn_tool_doubletap 333
btn_tool_finger 325  btn_tool_lens 327  btn_tool_mouse 326  btn_tool_pen 320  btn_tool_pencil 323
btn_tool_quadtap 335  btn_tool_quinttap 328  btn_tool_rubber 321  btn_tool_tripletap 334  btn_top 291
btn_top2 292  btn_touch 330  btn_tr 311  btn_tr2 313  btn_trigger 288  btn_trigger_happy 704
btn_trigger_happy1 704  btn_trigger_happy10 713  btn_trigger_happy11 714  btn_trigger_happy12 715
btn_trigger_happy13 716  btn_trigger_happy14 717  btn_trigger_happy15 718  btn_trigger_happy16 719
btn_trigger_happy17 720  btn_trigger_happy18 721  btn_trigger_happy19 722  btn_trigger_happy2 705
btn_trigger_happy20 723  btn_trigger_happy21 724  btn_trigger_happy22 725  btn_trigger_happy23 726
btn_trigger_happy24 727  btn_trigger_happy25 728  btn_trigger_happy26 729  btn_trigger_happy27 730
btn_trigger_happy28 731  btn_trigger_happy29 732  btn_trigger_happy3 706  btn_trigger_happy30 733
btn_trigger_happy31 734  btn_trigger_happy32 735  btn_trigger_happy33 736  btn_trigger_happy34 737
btn_trigger_happy35 738  btn_trigger_happy36 739  btn_trigger_happy37 740  btn_trigger_happy38 741
btn_trigger_happy39 742  btn_trigger_happy4 707  btn_trigger_happy40 743  btn_trigger_happy5 708
btn_trigger_happy6 709  btn_trigger_happy7 710  btn_trigger_happy8 711  btn_trigger_happy9 712  btn_west 308
btn_wheel 336  btn_x 307  btn_y 308  btn_z 309  buttonconfig 576  c 46  calc 140  calendar 397  camera 212
camera_down 536  camera_focus 528  camera_left 537  camera_right 538  camera_up 535  camera_zoomin 533
camera_zoomout 534  cancel 223  capslock 58  cd 383  channel 363  channeldown 403  channelup 402  chat 216
clear 355  clearvu_sonar 646  close 206  closecd 160  coffee 152  comma 51  compose 127  computer 157
config 171  connect 218  context_menu 438  controlpanel 579  copy 133  cut 137  cyclewindows 154  d 32
dashboard 204  data 631  database 426  del_eol 448  del_eos 449  del_line 451  delete 111  deletefile 146
dictate 586  digits 413  direction 153  directory 394  display_off 245  displaytoggle 431  documents 235
dollar 434  dot 52  down 108  dual_range_radar 643  dvd 389  e 18  edit 176  editor 422  ejectcd 161
ejectclosecd 162  email 215  emoji_picker 585  end 107  enter 28  epg 365  equal 13  esc 1  euro 435  exit 174
f 33  f1 59  f10 68  f11 87  f12 88  f13 183  f14 184  f15 185  f16 186  f17 187  f18 188  f19 189  f2 60
f20 190  f21 191  f22 192  f23 193  f24 194  f3 61  f4 62  f5 63  f6 64  f7 65  f8 66  f9 67  fastforward 208
fastreverse 629  favorites 364  file 144  finance 219  find 136  first 404  fishing_chart 641  fn 464  fn_1 478
fn_2 479  fn_b 484  fn_d 480  fn_e 481  fn_esc 465  fn_f 482  fn_f1 466  fn_f10 475  fn_f11 476  fn_f12 477
fn_f2 467  fn_f3 468  fn_f4 469  fn_f5 470  fn_f6 471  fn_f7 472  fn_f8 473  fn_f9 474  fn_right_shift 485
fn_s 483  forward 159  forwardmail 233  frameback 436  frameforward 437  front 132  full_screen 372  g 34
games 417  goto 354  graphicseditor 424  grave 41  green 399  h 35  hangeul 122  hanguel 122  hangup_phone 446
hanja 123  help 138  henkan 92  hiragana 91  home 102  homepage 172  hp 211  i 23  images 442  info 358
ins_line 450  insert 110  iso 170  j 36  journal 578  k 37  katakana 90  katakanahiragana 93
kbd_layout_next 584  kbd_lcd_menu1 696  kbd_lcd_menu2 697  kbd_lcd_menu3 698  kbd_lcd_menu4 699
kbd_lcd_menu5 700  kbdillumdown 229  kbdillumtoggle 228  kbdillumup 230  kbdinputassist_accept 612
kbdinputassist_cancel 613  kbdinputassist_next 609  kbdinputassist_nextgroup 611  kbdinputassist_prev 608
kbdinputassist_prevgroup 610  keyboard 374  kp0 82  kp1 79  kp2 80  kp3 81  kp4 75  kp5 76  kp6 77  kp7 71
kp8 72  kp9 73  kpasterisk 55  kpcomma 121  kpdot 83  kpenter 96  kpequal 117  kpjpcomma 95  kpleftparen 179
kpminus 74  kpplus 78  kpplusminus 118  kprightparen 180  kpslash 98  l 38  language 368  last 405  left 105
left_down 617  left_up 616  leftalt 56  leftbrace 26  leftctrl 29  leftmeta 125  leftshift 42  lights_toggle 542
linefeed 101  link_phone 447  list 395  logoff 433  m 50  macro 112  macro1 656  macro10 665  macro11 666
macro12 667  macro13 668  macro14 669  macro15 670  macro16 671  macro17 672  macro18 673  macro19 674
macro2 657  macro20 675  macro21 676  macro22 677  macro23 678  macro24 679  macro25 680  macro26 681
macro27 682  macro28 683  macro29 684  macro3 658  macro30 685  macro4 659  macro5 660  macro6 661  macro7 662
macro8 663  macro9 664  macro_preset1 691  macro_preset2 692  macro_preset3 693  macro_preset_cycle 690
macro_record_start 688  macro_record_stop 689  mail 155  mark_waypoint 638  media 226  media_repeat 439
media_top_menu 619  memo 396  menu 139  messenger 430  mhp 367  micmute 248  minus 12  mode 373  move 175
mp3 391  msdos 151  muhenkan 94  mute 113  n 49  nav_chart 640  nav_info 648  new 181  news 427  next 407
next_element 635  next_favorite 624  nextsong 163  notification_center 444  numeric_0 512  numeric_1 513
numeric_11 620  numeric_12 621  numeric_2 514  numeric_3 515  numeric_4 516  numeric_5 517  numeric_6 518
numeric_7 519  numeric_8 520  numeric_9 521  numeric_a 524  numeric_b 525  numeric_c 526  numeric_d 527
numeric_pound 523  numeric_star 522  numlock 69  o 24  ok 352  onscreen_keyboard 632  open 134  option 357  p 25
pagedown 109  pageup 104  paste 135  pause 119  pause_record 626  pausecd 201  pc 376  phone 169
pickup_phone 445  play 207  playcd 200  player 387  playpause 164  power 116  power2 356  presentation 425
previous 412  previous_element 636  previoussong 165  print 210  privacy_screen_toggle 633  prog1 148  prog2 149
prog3 202  prog4 203  program 362  props 130  pvr 366  q 16  question 214  r 19  radar_overlay 644  radio 385
record 167  red 398  redo 182  refresh 173  refresh_rate_toggle 562  reply 232  reserved 0  restart 408
rewind 168  rfkill 247  right 106  right_down 615  right_up 614  rightalt 100  rightbrace 27  rightctrl 97
rightmeta 126  rightshift 54  ro 89  root_menu 618  rotate_display 153  rotate_lock_toggle 561  s 31  sat 381
sat2 382  save 234  scale 120  screen 375  screenlock 152  screensaver 581  scrolldown 178  scrolllock 70
scrollup 177  search 217  select 353  selective_screenshot 634  semicolon 39  send 231  sendfile 145  setup 141
shop 221  shuffle 410  sidevu_sonar 647  single_range_radar 642  slash 53  sleep 142  slow 409  slowreverse 630
sos 639  sound 213  space 57  spellcheck 432  sport 220  spreadsheet 423  stop 128  stop_record 625  stopcd 166
subtitle 370  suspend 205  switchvideomode 227  sysrq 99  t 20  tab 15  tape 384  taskmanager 577  teen 414
text 388  time 359  title 369  touchpad_off 532  touchpad_on 531  touchpad_toggle 530  traditional_sonar 645
tuner 386  tv 377  tv2 378  twen 415  u 22  undo 131  unknown 240  unmute 628  up 103  uwb 239  v 47  vcr 379
vcr2 380  vendor 360  video 393  video_next 241  video_prev 242  videophone 416  vod 627  voicecommand 582
voicemail 428  volumedown 114  volumeup 115  w 17  wakeup 143  wimax 246  wlan 238  wordprocessor 421
wps_button 529  wwan 246  www 150  x 45  xfer 147  y 21  yellow 400  yen 124  z 44  zenkakuhankaku 85  zoom 372
zoomin 418  zoomout 419  zoomreset 420
";

/// The number of the key or button of that name, whatever the case of its letters.
pub(super) fn number(name: &[u8]) -> Option<u32> {
    let mut words = TABLE.split_ascii_whitespace();
    while let (Some(known), Some(number)) = (words.next(), words.next()) {
        if known.as_bytes().eq_ignore_ascii_case(name) {
            return number.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_by_the_header() {
        for (name, expected) in [
            ("esc", Some(1)),
            ("ESC", Some(1)),
            ("prog1", Some(148)),
            ("touchpad_off", Some(0x214)),
            ("micmute", Some(248)),
            ("unknown", Some(240)),
            ("reserved", Some(0)),
            ("btn_left", Some(0x110)),
            ("brightnessdown", Some(224)),
            ("screenlock", Some(152)),
            ("left", Some(105)),
            ("max", None),
            ("key_esc", None),
            ("", None),
            ("1", Some(2)),
        ] {
            assert_eq!(number(name.as_bytes()), expected, "{name}");
        }
    }
}
