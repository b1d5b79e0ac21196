// Stream stage: BEATS beats of WIDTH bits become one, the first in its lowest bits.
module nn_gather #(
    parameter int BEATS = 2,
    parameter int WIDTH = 8
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  logic [      WIDTH-1:0] in_data,
    output logic                   out_valid,
    input  logic                   out_ready,
    output logic [BEATS*WIDTH-1:0] out_data
);
  localparam int BW = $clog2(BEATS + 1);
  logic [BW-1:0] beat;
  wire last = 32'(beat) == BEATS - 1;

  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (rst) begin
      beat <= '0;
      out_valid <= 1'b0;
    end else if (in_ready) begin
      out_valid <= in_valid && last;
      if (in_valid) beat <= last ? '0 : beat + 1'b1;
    end
    if (in_ready && in_valid) out_data <= {in_data, out_data[BEATS*WIDTH-1:WIDTH]};
  end
endmodule
