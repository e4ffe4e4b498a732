import os

from noether_runner.sandbox.wire import Confinement, Order, frame, read_whole, write_whole


def test_an_order_travels() -> None:
    order = Order("t", "/d", {"A": "ä\udcff"}, ((1, 2, 3),), "module:function")
    back = Order.unpack(order.pack())
    assert back[:3] == order[:3]
    assert [tuple(limit) for limit in back.limits] == [(1, 2, 3)]
    assert (back.entry, list(back.argv), back.confinement) == ("module:function", [], None)


def test_an_order_travels_with_its_confinement() -> None:
    confinement = Confinement((1, 2, (3,)), (7, 0, 0, (("/a", 1),)), "00", "inside", (("f", "ä"),))
    back = Order.unpack(Order("t", "/", {}, (), argv=("p",), confinement=confinement).pack())
    assert back.confinement is not None
    # the inner tuples come back as lists
    travelled = [[1, 2, [3]], [7, 0, 0, [["/a", 1]]], "00", "inside", [["f", "ä"]]]
    assert list(back.confinement) == travelled


def test_a_memory_file_is_read_whole_from_anywhere() -> None:
    descriptor = os.memfd_create("test")
    write_whole(descriptor, b"x" * 3_000_000)
    assert len(read_whole(descriptor)) == 3_000_000
    os.close(descriptor)


def test_a_frame() -> None:
    assert frame("0123456789abcdef", "R", b"[1]") == b"\n0123456789abcdef R 3\n[1]"
