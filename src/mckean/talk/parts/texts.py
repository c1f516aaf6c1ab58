"""Some prose, each piece more than 128 tokens long, for encoders to read."""

TEXTS = (
    """The harbour was built three hundred years ago for ships that carried salt and wool. When the river brought more
    sand than the dredgers could take away, the large vessels went elsewhere, and the warehouses stood empty for a
    generation. Today there are workshops in them: a woman repairs violins on the ground floor, two brothers print
    posters above her, and under the roof somebody keeps bees. In the evening the doors stand open and one hears the
    saw, the press and the water at the same time. Visitors ask whether the old cranes still move. One of them does,
    once a year, on the first Sunday of May, when it lifts a boat full of children out of the basin and sets it down
    again a little later, to great applause.""",
    """To bake this bread you need patience rather than skill. Mix flour, water and salt in the evening, add a spoon of
    the starter, and leave the dough in a cool place until morning. It should have doubled by then, with bubbles at the
    surface. Fold it four times, once every half hour, and do not add more flour even if it sticks to your hands. Heat
    the oven as far as it goes, with an iron pot inside. Turn the loaf into the hot pot, cut the top with a sharp knife,
    close the lid and bake for thirty minutes; then take the lid off, so that the crust turns brown. Wait an hour before
    you cut it. The crumb goes on setting while it cools, and a warm loaf is a wet one.""",
    """A glacier is a river in which nothing seems to happen. Snow falls on its upper part, is pressed into ice by the
    snow of later years, and creeps down the valley under its own weight, faster in the middle than along the rocks. At
    the lower end it melts. As long as gains and losses agree, its shape stays the same although its substance is
    replaced within a few centuries. When summers grow warmer the balance is lost, first at the tongue, where the ice
    thins and retreats, and only much later at the source. Stones that it carried lie in long walls across the meadow
    and show how far it once came. From such walls, and from photographs that travellers took, one can read the climate
    of times when nobody measured the temperature.""",
    """The committee met for the third time on Tuesday, and again it did not decide. Some members wished to close the
    small schools in the hills, since each of them has fewer than twenty pupils and a roof in need of repair. Others
    answered that a village without a school soon has no families, and that a bus which leaves at six in the morning is
    no substitute for a teacher next door. A report had been promised with figures on costs, but its authors asked for
    more time. The mayor proposed to keep the buildings for two years and to share the teachers among them, an idea that
    nobody liked and nobody rejected. The next meeting is in March; parents have been invited to speak before the vote
    is taken, if it is taken at all.""",
    """My grandfather repaired clocks, and he disliked the question of what time it was. Which clock do you ask, he used
    to say, pointing at the wall where forty of them disagreed. He knew each by its illness: this one hurried in dry
    weather, that one stopped when the tram went by. In the drawer he kept springs sorted by strength, wheels with one
    tooth missing, and letters from customers who had moved away. I learned from him to look for a long time before
    touching anything. Most faults, he said, have been made by the last person who mended the thing. When he died we
    wound them all, once, so that they would run through the funeral; and for eight days the house was full of ticking,
    less and less, until a single small clock was left.""",
    """Bees find their way by the sun, and they tell each other where the flowers are. A bee that has discovered a good
    field returns to the dark hive and dances on the comb: she walks straight ahead, shaking her body, turns back to the
    start and walks again. The direction of the walk against the vertical is that of the food against the sun, and its
    length grows with the distance. The others follow her with their feelers, fly out, and most of them arrive. How can
    such a language have arisen? Relatives that live in the open dance on a horizontal branch and simply point to the
    goal, which may have been the first step. Experiments with small mechanical dancers showed that the message is in
    the movement, although scent and sound help.""",
    """The printer does not respond after the update. I have switched it off and on, removed the paper tray, and tried
    another cable, without success. The light blinks twice, then there is a pause, then it blinks twice again, and the
    manual does not mention this pattern. On the computer the device appears as connected, but every document stays in
    the queue until I delete it by hand. Yesterday, before the update was installed, everything worked. Could you please
    tell me how to return to the previous version of the software, or send a replacement if the fault is in the machine?
    I need it by the end of the week, because the forms for the tax office must be sent on paper. The serial number is
    on the receipt that I attach to this message.""",
    """In the second half the visitors played as if the rain had stopped for them alone. Their captain, who had hardly
    touched the ball before, began to ask for it, turned away from two defenders and sent a long pass to the left, where
    nobody had been all evening. The first goal followed a minute later, the second before the home side had understood
    what was different. From the stands one could see it: they no longer ran after every opponent but waited in a line,
    close together, and moved forward as one. The trainer said afterwards that he had changed nothing at all. He had
    only reminded them that the pitch is wide. The hosts hit the post in the last minute, their single chance, and the
    small crowd went home wet and silent.""",
)  # fmt: skip
