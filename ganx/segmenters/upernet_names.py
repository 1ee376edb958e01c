"""Names that the published UPerNet knows (Xiao et al. 2018, joint data set), in the order of its heads.

`PART_GROUPS` gives for each object that has parts its number, then the numbers of its parts; the first is "no part".
"""

OBJECTS = """
-; wall; sky; floor; tree; building; person; ceiling; table; window; road; grass; chair; car; plant; painting; door;
sidewalk; light; cabinet; signboard; lamp; ground; curtain; pole; mountain; fence; streetlight; bed; sofa; box; earth;
shelf; bottle; cushion; water; book; flower; carpet; mirror; vase; flowerpot; sink; dog; armchair; rock; wall socket;
sconce; pillow; cat; step; pot; plate; railing; clock; bag; column; bicycle; cloth; coffee table; ashcan; spotlight;
bench; boat; basket; work surface; bowl; desk; airplane; bird; house; plaything; sea; paper; television; chandelier;
cup; pottedplant; path; switch; stairway; van; stove; truck; awning; chest of drawers; traffic light; seat; poster;
glass; flag; telephone; fire place; rope; towel; monitor; bucket; bush; stool; field; tray; bannister; trade name;
wood; fan; horse; motorbike; base; train; bathtub; toilet; refrigerator; counter; wardrobe; food; candlestick; blind;
computer; board; palm; bus; track; microwave; sand; sculpture; fluorescent; countertop; swivel chair; snow; river; air
conditioner; ottoman; jar; stair; pack; bridge; skyscraper; minibike; loudspeaker; figurine; can; sheep; cow;
bookcase; bedclothes; exhaust hood; hill; napkin; doorframe; umbrella; manhole; case; container; coach; dishwasher;
text; knife; crt screen; magazine; curb; oven; monitoring device; gate; blanket; radiator; platform; central
reservation; bulletin board; laptop; shoe; pool table; metal; fruit; keyboard; coffee maker; candle; faucet; pipe;
handbag; wineglass; mug; wire; apparel; land; pitcher; remote control; bar; grill; ball; backpack; grandstand; beam;
pane; fork; hedge; notebook; toilet tissue; parking meter; pen; fireplug; screen door; brush; heater; booklet; kitchen
island; tower; ladder; hat; shower; soap dispenser; spoon; post; antenna; buffet; kettle; traveling bag; stage;
printer; teapot; chest; embankment; rack; document; crane; mouse; silver screen; animal; pier; post box; rod; vent;
console table; camera; statue; jacket; dishrag; microphone; fountain; paper towel; pool ball; washer; mouse pad;
partition; banner; tent; runway; towel rack; hanger; guitar; place mat; system; ashtray; soap; cue; booth; deck chair;
bouquet; waterfall; dirt track; vending machine; eyeglass; drawer; saddle; canister; helmet; hovel; shutter; telephone
booth; shirt; cradle; candelabrum; tank; toaster; traffic cone; soap dish; arcade machine; machine; net; easel; cart;
skylight; cross; newspaper; canopy; barrel; smoke; footbridge; wheel; baby buggy; fire extinguisher; shower stall;
swimming pool; sales booth; scaffolding; fridge; patty; altar; streetcar; decoration; tapestry; trouser; billboard;
file cabinet; cap; bread; cage; hot tub; drawing; saucepan; piano; dish; conveyer belt; arcade; equipment; trunk; cd;
court; blackboard; lake; ship; railroad train; lighthouse; bus stop; exhibitor; jersey; plinth; fabric; projector;
forecourt; eiderdown; mat; cash register; calendar; briefcase; stick; chimney
"""

MATERIALS = """
-; brick; cardboard; carpet; ceramic; fabric; foliage; food; fur; glass; hair; laminate; leather; metal; mirror;
painted; paper; plastic; polished stone; rubber/latex; skin; stone; tile; wallpaper; wicker; wood
"""

PARTS = """
-; leg; head; torso; arm; window; eye; ear; door; nose; neck; hand; wheel; hair; mouth; foot; eyebrow; tail; muzzle;
headlight; back; drawer; shade; paw; column; body; mirror; headboard; base; faucet; license plate; top; seat; seat
cushion; wing; roof; screen; taillight; back pillow; windshield; balcony; door frame; beak; seat base; cap; stern;
frame; handle; footboard; handle bar; plant; pot; apron; shop window; engine; saddle; chain wheel; lid; side; pane;
railing; chimney; bumper; coach; skirt; button panel; crosswalk; keyboard; stove; shelf; knob; monitor; oven; hoof;
front; canopy; water tank; bowl; backplate; aperture; tube; mouse; cloud; face; metal shutter; stretcher; computer
case; sash; shutter; chain; blade; horn; dormer; pipe; lower sash; tap; entrance; step; corner pocket; bulb; upper
sash; bed; diffusor; rail; cord; side rail; housing; dome; side pocket; receiver; beam; button; pedestal; balustrade;
garage door; dial; opening; gas cap; casing; head roof; sill; motor; fire escape; trunk; vent; fuselage; earmuffs;
lock; speaker; grille; stabilizer; piston; landing gear; stile; arcades; muntin; burner; shaft; cabinet; capital;
stem; coach roof; wall; panel; hinge; plate; wiper; terrace; ladder; socket; branch; bedpost; logo
"""

PART_GROUPS = """
2: 0 82 | 5: 0 5 8 24 35 40 53 59 60 61 84 88 92 93 96 97 107 113 114 122 129 134 142 147 | 6: 0 1 2 3 4 6 7 9 10 11
13 14 15 16 20 | 7: 0 110 | 8: 0 1 8 21 28 31 52 58 64 74 112 | 9: 0 59 87 94 100 103 118 120 133 135 | 10: 0 66 | 12:
0 1 4 20 32 33 38 43 52 64 85 | 13: 0 5 8 12 19 26 30 35 37 39 62 117 146 | 15: 0 46 | 16: 0 5 41 47 59 70 127 144 |
18: 0 22 75 78 79 102 | 19: 0 1 8 21 31 58 64 69 74 | 21: 0 4 22 24 28 75 80 89 99 104 | 28: 0 1 27 28 48 58 105 148
151 | 29: 0 1 4 20 32 33 38 43 52 64 | 32: 0 8 31 58 | 33: 0 25 44 | 39: 0 46 | 42: 0 29 77 95 112 | 43: 0 1 2 3 6 7 9
10 17 18 23 | 44: 0 1 4 20 32 33 38 43 52 64 126 | 46: 0 149 | 47: 0 4 22 78 | 48: 0 27 | 49: 0 1 2 3 6 7 9 10 17 23 |
54: 0 83 | 56: 0 28 137 139 | 57: 0 12 49 55 56 | 59: 0 1 31 52 69 | 61: 0 22 | 67: 0 1 21 31 | 68: 0 12 17 25 34 45
54 125 130 132 | 69: 0 1 2 3 6 10 15 17 34 42 | 70: 0 5 8 24 35 40 60 61 114 | 74: 0 36 | 75: 0 4 22 75 89 99 | 77: 0
50 51 | 80: 0 97 | 81: 0 5 8 12 19 30 37 39 | 82: 0 21 65 72 115 136 | 83: 0 12 39 | 85: 0 21 31 58 64 74 | 87: 0 20
33 | 89: 0 28 77 116 140 | 91: 0 28 109 | 95: 0 36 | 98: 0 1 32 | 104: 0 75 90 121 | 105: 0 1 2 3 6 7 10 17 18 73 |
106: 0 12 19 49 | 108: 0 2 19 63 119 141 | 109: 0 29 95 | 110: 0 57 76 77 | 111: 0 8 | 113: 0 8 21 | 117: 0 67 71 81
86 128 | 120: 0 5 8 12 19 26 30 35 | 122: 0 8 36 65 111 | 127: 0 4 20 28 32 131 | 131: 0 1 33 43 | 141: 0 1 2 3 6 7 10
17 18 91 | 142: 0 1 2 3 6 7 10 17 18 91 | 143: 0 69 | 145: 0 25 124 | 153: 0 5 12 39 | 154: 0 8 65 | 160: 0 8 65 |
161: 0 36 | 170: 0 1 28 98 101 103 108 138 | 180: 0 47 | 184: 0 47 | 204: 0 8 21 | 213: 0 8 21 | 214: 0 47 | 240: 0 8
| 321: 0 5
"""
